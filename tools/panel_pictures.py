"""Pictures of the live views in a real JupyterLab, and of the page of a run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Browser, Locator, Page

from browser import lab_page, open_notebook, run_cell
from jupyter_process import JupyterProcess

_TABLE = """import time
import pandas as pd
from opspawn_jupyter import step
pd.DataFrame({"species": ["Adelie", "Gentoo"], "penguins": [152, 124]})"""
_EPOCHS = """for epoch in range(1, 40):
    time.sleep(0.4)
    print("epoch", epoch)
    step.progress(epoch / 40, f"epoch {epoch}")"""
_TRAIN = ("epochs: int = 5", _TABLE, _EPOCHS, "step.output('accuracy', 0.93)")
_FAILS = ("amounts = {'apples': 3, 'pears': 2}", "sum(amounts.values())", "amounts['plums'] * 2")
_WORKFLOW = """name: nightly
tasks:
  - {id: ingest, plugin: shell, config: {command: sleep 1}}
  - {id: clean, plugin: shell, config: {command: sleep 2}, depends_on: [ingest]}
  - {id: features, plugin: shell, config: {command: sleep 1}, depends_on: [ingest]}
  - {id: train, plugin: shell, config: {command: sleep 30}, depends_on: [clean, features]}
  - {id: check, plugin: shell, config: {command: exit 3}, depends_on: [clean]}
  - {id: report, plugin: shell, config: {command: echo done}, depends_on: [train, check]}
"""
#: What tells of ends of runs lies over a corner of what is pictured.
_WITHOUT_NOTICES = ".Toastify { display: none }"
_BUSY = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
_DARK = "jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })"
_LIGHT = "jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })"
_COLOURS = 200


def take(browser: Browser, server: JupyterProcess, images: Path) -> None:
    """Make them all."""
    _stage(server.root)
    _schedules(server)
    _agent(server)
    with lab_page(browser, width=1180, height=900) as page:
        open_notebook(page, server, "panels.ipynb")
        page.add_style_tag(content=_WITHOUT_NOTICES)
        for number in range(4):
            run_cell(page, number)
        page.locator(".jp-Notebook .jp-Cell").nth(4).locator(".cm-content").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_function(_BUSY)
        cards = page.locator(".jp-OutputArea .opspawn-card")
        cards.first.get_by_text("epoch 6", exact=False).first.wait_for()
        page.set_viewport_size({"width": 1180, "height": 1500})
        cards.nth(1).scroll_into_view_if_needed()
        _shoot(cards.nth(1), images / "panel-failed.png")
        page.set_viewport_size({"width": 1180, "height": 900})
        page.locator(".jp-Notebook .jp-Cell").first.scroll_into_view_if_needed()
        _shoot(page, images / "panel-light.png")
        page.evaluate("void jupyterapp.commands.execute('opspawn:open')")
        side = page.locator("#opspawn-tasks")
        side.locator(".opspawn-row").nth(1).wait_for()
        side.locator(".opspawn-schedule").nth(1).wait_for()
        side.locator(".opspawn-question").first.wait_for()
        _widen(page, side)
        _shoot(side, images / "panel-side-bar.png")
        page.evaluate(_DARK)
        page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached")
        page.locator("#jupyterlab-splash").wait_for(state="detached")
        _shoot(page, images / "panel-dark.png")
        page.evaluate(_LIGHT)
        page.locator('body[data-jp-theme-light="true"]').wait_for(state="attached")
    with lab_page(browser, width=1000, height=800) as page:
        open_notebook(page, server, "train.ipynb")
        page.evaluate("void jupyterapp.commands.execute('opspawn:schedule-notebook')")
        page.add_style_tag(content=_WITHOUT_NOTICES)
        form = page.locator(".jp-Dialog-content")
        form.get_by_label("Time zone").fill("Europe/Berlin")
        form.get_by_text("Monday through Friday, Europe/Berlin").wait_for()
        _shoot(form, images / "panel-schedule.png")
    _run_pages(browser, server, images)


def _widen(page: Page, side: Locator) -> None:
    """Draw the edge of the side bar to the right, as a person does who has much to look at."""
    edge = page.locator("#jp-main-split-panel > .lm-SplitPanel-handle").first.bounding_box()
    box = side.bounding_box()
    if edge is None or box is None:
        raise RuntimeError("the side bar has no place")
    page.mouse.move(edge["x"] + 1, edge["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, edge["y"] + 300, steps=4)
    page.mouse.up()


def _agent(server: JupyterProcess) -> None:
    """One that asks before it runs code, and so waits in the side bar."""
    spec = {
        "goal": "On which island are the penguins heaviest, and why?",
        "model": "scripted:penguin_agent.yaml",
        "permissions": {"run_python": "ask"},
    }
    server.api("POST", "tasks", {"kind": "agent", "name": "penguin_masses", "spec": spec})


def _schedules(server: JupyterProcess) -> None:
    for name, cron in (("nightly-training", "0 2 * * *"), ("weekly-report", "30 6 * * 1")):
        timing = {"cron": cron, "timezone": "Europe/Berlin"}
        submission = {"spec": {"notebook": "train.ipynb"}}
        plan = {"name": name, "submission": submission, "timing": timing}
        server.api("POST", "schedules", plan)
    server.api("POST", "schedules/weekly-report/pause")


def _run_pages(browser: Browser, server: JupyterProcess, images: Path) -> None:
    failed = server.api("GET", "tasks?name=prices")["tasks"][0]
    for name, width, height in (("run-page", 1000, 860), ("run-page-phone", 390, 780)):
        with lab_page(browser, width=width, height=height) as page:
            page.goto(f"{server.url}opspawn/runs/{failed['id']}?token={server.token}")
            page.locator(".opspawn-failing").wait_for()
            _shoot(page, images / f"{name}.png")
    submission = {"kind": "workflow", "spec": {"source": _WORKFLOW}}
    with lab_page(browser, width=900, height=760) as page:
        for _ in range(2):
            workflow = server.api("POST", "tasks", submission)
            page.goto(f"{server.url}opspawn/runs/{workflow['id']}?token={server.token}")
            graph = page.locator(".opspawn-graph")
            graph.get_by_label("check: failed").wait_for()
            graph.get_by_label("train: running").wait_for()
            card = page.locator("main .opspawn-card").first
            card.get_by_text("Runs", exact=True).click()
            card.locator(".opspawn-grid").wait_for()
            _shoot(card, images / "panel-workflow.png")
            server.api("POST", f"tasks/{workflow['id']}/cancel")


def _stage(root: Path) -> None:
    lines = (
        "%load_ext opspawn_jupyter",
        "%opspawn run train.ipynb -p epochs=40",
        "%opspawn run prices.ipynb --keep-on-failure",
        "%opspawn tasks",
        "import time\ntime.sleep(600)",
    )
    _write(root / "train.ipynb", _TRAIN, has_parameters=True)
    _write(root / "prices.ipynb", _FAILS)
    _write(root / "panels.ipynb", lines)


def _write(path: Path, sources: tuple[str, ...], *, has_parameters: bool = False) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if has_parameters:
        cells[0].metadata["tags"] = ["parameters"]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


def _shoot(what: Page | Locator, path: Path) -> None:
    """A picture in few colours, so that the repository stays small."""
    with Image.open(BytesIO(what.screenshot())) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    print(f"wrote docs/images/{path.name}")
