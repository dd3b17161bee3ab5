"""Pictures of an agent at work: its notebook while it grows, and once it has its answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from browser import lab_page
from jupyter_process import JupyterProcess

_GOAL = "On which island are the penguins heaviest, and why? The table is data/penguins.csv."
_SCHEMA = {
    "type": "object",
    "properties": {"island": {"type": "string"}, "reason": {"type": "string"}},
    "required": ["island", "reason"],
}
_DEADLINE_SECONDS = 300.0
#: Of the reply after which the first picture is taken: the comparison of the species is next.
_HALF = 4
_TO_THE_END = "document.querySelector('.jp-WindowedPanel-outer').scrollTop = 1e6"


def take(browser: Browser, server: JupyterProcess, images: Path) -> None:
    """Both."""
    script = (server.root / "penguin_agent.yaml").read_text()
    turns = script.split("\n- ")
    half = "\n- ".join([*turns[: _HALF + 1], "{say: later, wait: 600}\n"])
    (server.root / "half.yaml").write_text(half)
    growing = _submit(server, "half.yaml")
    _await_cells(server, growing["id"])
    # Low enough to leave out a traceback, which names directories of this machine.
    with lab_page(browser, width=1200, height=840) as page:
        _open(page, server, growing)
        page.screenshot(path=images / "agent-growing.png")
        server.api("POST", f"tasks/{growing['id']}/cancel")
    done = _submit(server, "penguin_agent.yaml")
    server.await_task(done["id"], _DEADLINE_SECONDS)
    with lab_page(browser, width=1200, height=640) as page:
        _open(page, server, done)
        page.evaluate(_TO_THE_END)
        totals = page.locator(".jp-RenderedMarkdown em", has_text="7 steps")
        totals.wait_for()
        totals.scroll_into_view_if_needed()
        page.wait_for_timeout(2_000)  # JupyterLab draws what comes into view a little later
        page.screenshot(path=images / "agent-notebook.png")


def _submit(server: JupyterProcess, script: str) -> dict[str, Any]:
    spec = {"goal": _GOAL, "model": f"scripted:{script}", "output_schema": _SCHEMA}
    task: dict[str, Any] = server.api("POST", "tasks", {"kind": "agent", "spec": spec})
    return task


def _await_cells(server: JupyterProcess, task_id: str) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        cells = server.api("GET", f"tasks/{task_id}")["cells"]
        if sum(cell["state"] in ("success", "failed") for cell in cells) >= _HALF:
            return
        time.sleep(0.2)
    raise TimeoutError(task_id)


def _open(page: Page, server: JupyterProcess, task: dict[str, Any]) -> None:
    path = f"{task['run_directory']}/output.ipynb"
    page.goto(f"{server.url}lab/tree/{path}?reset&token={server.token}")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.locator(".jp-RenderedMarkdown h3").first.wait_for()
