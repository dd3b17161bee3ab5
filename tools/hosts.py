"""`make hosts`: the live views in every host that they are made for, by key presses and clicks.

Each version of JupyterLab, and Notebook 7, is installed beside our wheel in an environment of its
own below ``.hosts``; JupyterHub runs there with its proxy, which is npm's. What was seen is written
to ``docs/reference/hosts.md``. Words on the command line choose hosts by a part of their names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, expect

from browser import await_kernel, headless_browser, lab_page, run_cell
from hub_process import jupyterhub
from jupyter_process import jupyter_server

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENTS = REPOSITORY / ".hosts"
TABLE = REPOSITORY / "docs" / "reference" / "hosts.md"

_EXPOSED = "--LabApp.expose_app_in_browser=True"
_BUSY = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
_GATED = (
    "count: int = 3",
    "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)",
    "print('gone on with', count)",
)
_CELLS = (
    "%load_ext opspawn_jupyter",
    "%opspawn run gated.ipynb",
    "import threading; threading.Event().wait(600)",
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """One way in which people have JupyterLab before them."""

    name: str
    #: Its environment below ``.hosts``, and what is installed there beside our wheel.
    environment: str
    requirements: Sequence[str]
    app: str = "jupyterlab"
    #: Where it shows a notebook, below its base URL.
    page: str = "lab/tree/{path}?reset"
    base_url: str = "/"
    arguments: Sequence[str] = (_EXPOSED,)
    is_hub: bool = False
    #: What goes wrong in its pages without our extension as well.
    faults: frozenset[str] = frozenset()

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(ENVIRONMENTS / self.environment / "bin" / "python")


def _lab(version: str) -> Host:
    return Host(
        name=f"JupyterLab {version}",
        environment=f"lab-{version}",
        requirements=[f"jupyterlab=={version}.*"],
    )


_NEWEST = _lab("4.6")
HOSTS = (
    *map(_lab, ("4.2", "4.3", "4.4", "4.5")),
    _NEWEST,
    Host(
        name="Notebook 7",
        environment="notebook-7",
        requirements=["notebook>=7,<8"],
        app="notebook",
        page="notebooks/{path}?",
        arguments=["--JupyterNotebookApp.expose_app_in_browser=True"],
        # Its shortcuts look at a plugin before the plugin's settings are there (7.6.5).
        faults=frozenset({"Cannot read properties of undefined (reading 'schema')"}),
    ),
    Host(
        name="JupyterLab under a base URL",
        environment=_NEWEST.environment,
        requirements=_NEWEST.requirements,
        base_url="/some/where/",
    ),
    Host(
        name="JupyterLab behind JupyterHub",
        environment="hub",
        requirements=[*_NEWEST.requirements, "jupyterhub"],
        is_hub=True,
    ),
)


@dataclass(kw_only=True)
class Visit:
    """A host with a browser before it, and what became of each check."""

    host: Host
    page: Page
    root: Path
    url: str
    query: str
    problems: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)

    def open(self, path: str) -> None:
        """Show a notebook, with its kernel connected and idle."""
        self.page.goto(f"{self.url}{self.host.page.format(path=path)}{self.query}")
        self.page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
        await_kernel(self.page)

    @property
    def card(self) -> Locator:
        """The card below the cell that ran a notebook."""
        return self.page.locator(".jp-OutputArea .opspawn-card").first

    def check(self, what: str, holds: Callable[[Visit], None]) -> None:
        """Note whether it holds, and go on."""
        try:
            holds(self)
            self.results[what] = "yes"
        except AssertionError as failure:
            self.results[what] = f"no: {str(failure).strip().splitlines()[0]}"
        except Exception as failure:  # of the browser there are many; the table tells them
            self.results[what] = f"no: {type(failure).__name__} {str(failure).splitlines()[0]}"
        print(f"  {what}: {self.results[what]}", flush=True)


def _card_while_busy(visit: Visit) -> None:
    visit.open("story.ipynb")
    run_cell(visit.page, 0)
    run_cell(visit.page, 1)
    visit.page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".cm-content").first.click()
    visit.page.keyboard.press("Control+Enter")
    visit.page.wait_for_function(_BUSY)
    expect(visit.card.locator(".opspawn-link-state")).to_have_text("● live")
    expect(visit.card).to_contain_text("cell 2 of 3")


def _card_after_reload(visit: Visit) -> None:
    visit.page.keyboard.press("Control+S")
    visit.page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    visit.page.reload()
    expect(visit.card.locator(".opspawn-link-state")).to_have_text("● live")
    (visit.root / "go").touch()
    expect(visit.card.locator(".opspawn-pill").first).to_have_text("✓ success")
    expect(visit.card.locator(".opspawn-outputs")).to_contain_text("gone on with 3")


def _form(visit: Visit) -> None:
    visit.page.wait_for_function("jupyterapp.shell.currentWidget?.context?.isReady")
    visit.page.evaluate("void jupyterapp.commands.execute('opspawn:run-notebook')")
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Run").click()
    expect(visit.page.locator(".Toastify")).to_contain_text("story runs in the background")


def _side_bar(visit: Visit) -> None:
    visit.page.evaluate("void jupyterapp.commands.execute('opspawn:open')")
    side = visit.page.locator("#opspawn-tasks")
    row = side.locator(".opspawn-row", has_text="story").first
    expect(side.locator(".opspawn-link-state").first).to_have_text("● live")
    row.get_by_role("button", name="Cancel story").click()
    expect(row.locator(".opspawn-pill").first).to_have_text("⊘ cancelled")


def _run_page(visit: Visit) -> None:
    with visit.page.expect_popup() as popup:
        visit.card.get_by_role("link", name="Run page").click()
    opened = popup.value
    opened.on("pageerror", lambda error: visit.problems.append(str(error)))
    expect(opened.locator("main .opspawn-pill").first).to_have_text("✓ success")
    opened.get_by_role("heading", name="Environment").click()
    expect(opened.get_by_role("row", name="python").first).to_be_visible()
    opened.close()


def _errors(visit: Visit) -> None:
    ours = set(visit.problems) - visit.host.faults
    if ours:
        raise AssertionError("; ".join(sorted(ours)))


CHECKS: dict[str, Callable[[Visit], None]] = {
    "card while the kernel is busy": _card_while_busy,
    "card after a reload": _card_after_reload,
    "form": _form,
    "side bar": _side_bar,
    "run page": _run_page,
    "no error in the page": _errors,
}


def main(words: Sequence[str]) -> int:
    """See to the hosts; the exit status says whether all holds in all of them."""
    chosen = [host for host in HOSTS if not words or any(word in host.name for word in words)]
    wheel = _wheel()
    rows: dict[str, dict[str, str]] = {}
    with headless_browser() as browser:
        for host in chosen:
            print(host.name, flush=True)
            _install(host, wheel)
            rows[f"{host.name} ({_versions(host)})"] = _visit(browser, host)
    if len(chosen) == len(HOSTS):
        TABLE.write_text(_table(rows))
    return 0 if all(said == "yes" for row in rows.values() for said in row.values()) else 1


def _visit(browser: Browser, host: Host) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="opspawn-hosts-") as scratch:
        root, home = Path(scratch, "root"), Path(scratch, "home")
        root.mkdir()
        _write(root / "gated.ipynb", *_GATED, has_parameters=True)
        _write(root / "story.ipynb", *_CELLS)
        with lab_page(browser) as page, _opened(host, page, root, home) as (url, query):
            visit = Visit(host=host, page=page, root=root, url=url, query=query)
            page.on("pageerror", lambda error: visit.problems.append(str(error)))
            for what, holds in CHECKS.items():
                visit.check(what, holds)
            page.screenshot(path=ENVIRONMENTS / f"{host.name}.png")
            return visit.results


@contextmanager
def _opened(host: Host, page: Page, root: Path, home: Path) -> Iterator[tuple[str, str]]:
    """The running host: its base URL for the page, and what its addresses end with."""
    if host.is_hub:
        with jupyterhub(host.python, root, home, ENVIRONMENTS / "proxy") as hub:
            yield hub.log_in(page), ""
        return
    with jupyter_server(
        root,
        home,
        app=host.app,
        arguments=host.arguments,
        python=host.python,
        base_url=host.base_url,
    ) as server:
        server.await_health()
        yield server.url, f"&token={server.token}"


def _wheel() -> Path:
    place = ENVIRONMENTS / "dist"
    command = ["-m", "build", "--wheel", "--outdir", str(place), str(REPOSITORY)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return max(place.glob("*.whl"), key=lambda file: file.stat().st_mtime)


def _install(host: Host, wheel: Path) -> None:
    directory = ENVIRONMENTS / host.environment
    if not (directory / ".made").exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        _pip(host, str(wheel), *host.requirements)
        (directory / ".made").touch()
    _pip(host, "--force-reinstall", "--no-deps", str(wheel))


def _pip(host: Host, *words: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    subprocess.run([host.python, "-m", "pip", "install", *quiet, *words], check=True)


def _versions(host: Host) -> str:
    name = {"notebook": "notebook"}.get(host.app, "jupyterhub" if host.is_hub else "jupyterlab")
    script = f"import importlib.metadata as m; print({name!r}, m.version({name!r}))"
    said = subprocess.run([host.python, "-c", script], check=True, capture_output=True, text=True)
    return said.stdout.strip()


def _write(path: Path, *sources: str, has_parameters: bool = False) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if has_parameters:
        cells[0].metadata["tags"] = ["parameters"]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


def _table(rows: dict[str, dict[str, str]]) -> str:
    heads = " | ".join(["host", *CHECKS])
    lines = [f"| {heads} |", "|" + "---|" * (1 + len(CHECKS))]
    lines += [f"| {name} | {' | '.join(row.values())} |" for name, row in rows.items()]
    return f"{_HEAD}\n" + "\n".join(lines) + "\n"


_HEAD = """# Where the live views work

`make hosts` installs each of these in an environment of its own, starts it, opens a notebook in
Chromium and does what a person would: runs a notebook in the background, keeps the kernel busy,
looks at the card, saves and reloads the page, starts another run by the form, cancels it in the
side bar, and opens the page of the first run. An uncaught error in the page counts, unless the host
makes the same one without our extension.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
