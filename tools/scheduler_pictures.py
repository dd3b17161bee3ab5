"""The picture of jupyter-scheduler's own front end at work on our server.

Needs jupyter-scheduler beside us (`make .scheduler/.installed`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from browser import lab_page
from jupyter_process import JupyterProcess, jupyter_server

REPOSITORY = Path(__file__).resolve().parent.parent
_PEER = REPOSITORY / ".scheduler"
_DEFINITIONS = (
    ("clean the data", "clean_penguins.ipynb", "0 2 * * *"),
    ("weekly report", "penguin_report.ipynb", "30 6 * * 1"),
    ("islands", "island_report.ipynb", "0 6 1 * *"),
)


def take(browser: Browser, root: Path, home: Path, images: Path) -> None:
    """Definitions, one of them just made with its form. Passed over where the peer is not there."""
    if not (_PEER / ".installed").exists():
        print("jupyter-scheduler is not there: no picture of it")
        return
    extensions = _PEER / "share" / "jupyter" / "labextensions"
    arguments = [
        "--LabApp.expose_app_in_browser=True",
        f"--LabApp.extra_labextensions_path={extensions}",
    ]
    with jupyter_server(root, home, app="jupyterlab", arguments=arguments) as server:
        server.await_health()
        for name, notebook, cron in _DEFINITIONS:
            server.call("POST", "scheduler/job_definitions", _definition(name, notebook, cron))
        with lab_page(browser, width=1200, height=640) as page:
            _make_one(page, server)
            page.screenshot(path=images / "jupyter-scheduler.png")


def _definition(name: str, notebook: str, cron: str) -> dict[str, Any]:
    return {
        "name": name,
        "input_uri": notebook,
        "runtime_environment_name": "python3",
        "schedule": cron,
        "timezone": "Europe/Berlin",
    }


def _make_one(page: Page, server: JupyterProcess) -> None:
    page.goto(f"{server.url}lab?reset&token={server.token}")
    page.wait_for_function("async () => { await window.jupyterapp?.started; return true }")
    page.locator(".jp-DirListing-item", has_text="quickstart.ipynb").click(button="right")
    page.locator(".lm-Menu-item", has_text="Create Job").click()
    page.get_by_label("Job name").fill("quickstart on weekdays")
    page.get_by_label("Run on a schedule").check()
    page.get_by_role("button", name="Create", exact=True).click()
    row = page.get_by_role("row").filter(has_text="quickstart on weekdays")
    expect(row).to_contain_text("Active")
