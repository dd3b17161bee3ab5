"""`make pictures`: the documentation's pictures, of a real JupyterLab and a real terminal."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import nbformat
from playwright.sync_api import Page
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

import agent_pictures
import audit_pictures
import panel_pictures
import scheduler_pictures
from browser import headless_browser, lab_page, open_notebook, run_cell
from jupyter_process import JupyterProcess, jupyter_server

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "notebooks" / "examples"
IMAGES = REPOSITORY / "docs" / "images"

_COLUMNS = 110


def main() -> None:
    """Make every picture anew."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, _stage() as root:
        home = Path(scratch, "home")
        arguments = ["--LabApp.expose_app_in_browser=True"]
        with jupyter_server(root, home, app="jupyterlab", arguments=arguments) as server:
            server.await_health()
            with headless_browser() as browser, lab_page(browser, width=1200, height=1040) as page:
                _quick_start(page, server)
                _executed_notebook(page, server)
                _terminal(page, server, "doctor")
                panel_pictures.take(browser, server, IMAGES)
                agent_pictures.take(browser, server, IMAGES)
                audit_pictures.take(browser, server, IMAGES)
        with headless_browser() as browser:
            scheduler_pictures.take(browser, root, Path(scratch, "scheduler"), IMAGES)


@contextmanager
def _stage() -> Iterator[Path]:
    """The examples in a directory whose short path looks well on a card."""
    root = Path(tempfile.gettempdir(), "notebooks")
    shutil.copytree(EXAMPLES, root, ignore=shutil.ignore_patterns(".*", "opspawn_runs"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


def _quick_start(page: Page, server: JupyterProcess) -> None:
    notebook = nbformat.read(server.root / "quickstart.ipynb", as_version=4)
    open_notebook(page, server, "quickstart.ipynb")
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            run_cell(page, number)
            if cell.id == "result":
                page.locator(".jp-Notebook .jp-Cell").nth(number - 5).scroll_into_view_if_needed()
                _shoot(page, "quickstart.png")
    _shoot(page, "quickstart-end.png")


def _executed_notebook(page: Page, server: JupyterProcess) -> None:
    tasks = server.api("GET", "tasks?name=penguins")["tasks"]
    open_notebook(page, server, f"{tasks[0]['run_directory']}/output.ipynb")
    page.locator(".jp-Notebook .jp-Cell").nth(10).scroll_into_view_if_needed()
    _shoot(page, "executed-notebook.png")


def _terminal(page: Page, server: JupyterProcess, *words: str) -> None:
    """What an opspawn command shows in a terminal."""
    shown = _in_a_terminal(server, [sys.executable, "-m", "opspawn_jupyter.cli", *words])
    shown = shown.replace(sys.prefix, ".venv")  # where it lies is nobody's business
    console = Console(record=True, width=_COLUMNS, file=StringIO())
    console.print(Text.assemble(("$ ", "bold"), f"opspawn {' '.join(words)}"))
    console.print(Text.from_ansi(shown))
    page.set_content(console.export_html(theme=MONOKAI))
    page.add_style_tag(content="body { margin: 16px } pre { width: max-content }")
    page.locator("pre").screenshot(path=IMAGES / f"{words[0]}.png")
    print(f"wrote docs/images/{words[0]}.png")


def _in_a_terminal(server: JupyterProcess, command: list[str]) -> str:
    master, slave = pty.openpty()
    environment = server.environment | {"COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=server.root
    ):
        os.close(slave)
        return b"".join(_pieces(master)).decode().replace("\r\n", "\n")


def _pieces(master: int) -> Iterator[bytes]:
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:  # how Linux tells that nobody holds the other end any more
                return
            if not piece:
                return
            yield piece


def _shoot(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    print(f"wrote {(IMAGES / name).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
