"""Cards, side bar and forms in a real JupyterLab, by clicks and key presses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import JupyterProcess

pytestmark = pytest.mark.browser

#: Goes on when the file is there, so that a test decides when.
GATED = (
    "import pathlib, time\nprint('waits')\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
)


def write(path: Path, *sources: str, has_parameters: bool = False) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if has_parameters:
        cells[0].metadata["tags"] = ["parameters"]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


@pytest.fixture
def page(browser: Any, lab: JupyterProcess, tmp_path: Path) -> Iterator[Any]:
    """An empty page on which no script may fail; the kernels of the test end with it."""
    from browser import lab_page

    problems: list[str] = []
    with lab_page(browser) as opened:
        opened.on("pageerror", lambda error: problems.append(str(error)))
        yield opened
        opened.screenshot(path=tmp_path / "last-sight.png")
    for kernel in lab.call("GET", "api/kernels"):
        lab.call("DELETE", f"api/kernels/{kernel['id']}")
    assert [problem for problem in problems if "opspawn" in problem] == []


def test_a_card_is_live_while_the_kernel_is_busy_and_after_a_reload(
    page: Any, lab: JupyterProcess
) -> None:
    """The browser asks the server, not the kernel: that is when people look at it most."""
    from playwright.sync_api import expect

    from browser import open_notebook, run_cell

    write(lab.root / "gated.ipynb", "1 + 1", GATED, "print('goes on')")
    write(
        lab.root / "busy.ipynb",
        "%load_ext opspawn_jupyter",
        "%opspawn run gated.ipynb",
        "import threading; threading.Event().wait(600)",
    )
    open_notebook(page, lab, "busy.ipynb")
    run_cell(page, 0)
    card = run_cell(page, 1).locator(".jp-OutputArea .opspawn-card")
    page.keyboard.press("Control+S")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
    )

    expect(card).to_contain_text("cell 2 of 3")
    expect(card.locator(".opspawn-stdout")).to_contain_text("waits")
    page.reload()
    card = page.locator(".jp-OutputArea .opspawn-card")
    expect(card.locator(".opspawn-link-state")).to_have_text("● live")
    expect(card).to_contain_text("cell 2 of 3")
    (lab.root / "go").touch()
    expect(card.locator(".opspawn-pill")).to_have_text("✓ success")
    expect(card.locator(".opspawn-outputs")).to_contain_text("goes on")


def test_a_notebook_is_run_by_a_form_and_steered_in_the_side_bar(
    page: Any, lab: JupyterProcess
) -> None:
    """No cell and no shell is needed to run a notebook in the background."""
    from playwright.sync_api import expect

    from browser import await_notice, open_notebook

    (lab.root / "go").unlink(missing_ok=True)
    write(
        lab.root / "typed.ipynb",
        "count: int = 3  # how many",
        GATED,
        "from opspawn_jupyter import step; step.output('count', count)",
        has_parameters=True,
    )
    open_notebook(page, lab, "typed.ipynb")

    page.locator('[data-jp-item-name="opspawn-run"]').click()
    form = page.get_by_role("dialog")
    form.get_by_label("count").fill("many")
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_role("alert")).to_contain_text("'count=many'")
    expect(form.get_by_label("count")).to_have_value("many")  # nothing has to be typed again

    form.get_by_label("count").fill("7")
    form.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Tasks: 1 running").click()

    side = page.locator("#opspawn-tasks")
    row = side.locator(".opspawn-row", has_text="typed")
    expect(row.locator(".opspawn-pill")).to_have_text("▶ running")
    row.get_by_role("button", name="Cancel typed").click()
    expect(row.locator(".opspawn-pill")).to_have_text("⊘ cancelled")
    await_notice(page, "typed: cancelled")
    (lab.root / "go").touch()
    row.get_by_role("button", name="Retry typed").click()
    done = side.locator(".opspawn-row", has=page.locator(".opspawn-is-success"), has_text="typed")
    done.get_by_role("button", name="typed", exact=True).click()
    expect(done.locator("dd")).to_have_text("7")
    done.get_by_role("link", name="Open notebook").click()
    page.locator(
        ".jp-NotebookPanel:not(.lm-mod-hidden) .cm-content", has_text="count = 7"
    ).wait_for()


def test_a_notebook_is_scheduled_by_a_form_and_steered_in_the_side_bar(
    page: Any, lab: JupyterProcess
) -> None:
    """The form says what a rule means before anything is made."""
    from playwright.sync_api import expect

    from browser import await_notice, open_notebook

    write(lab.root / "annual.ipynb", "count: int = 3  # how many", has_parameters=True)
    open_notebook(page, lab, "annual.ipynb")

    page.locator(".jp-DirListing-item", has_text="annual.ipynb").click(button="right")
    page.locator('.lm-Menu-item[data-command="opspawn:schedule-file"]').click()
    form = page.get_by_role("dialog")
    form.get_by_label("Time zone").fill("Europe/Berlin")
    form.get_by_label("When").select_option("by a cron rule")
    form.get_by_role("textbox", name="Cron rule").fill("30 2 1 7 *")
    meaning = form.get_by_role("status")
    expect(meaning).to_contain_text("02:30")
    expect(meaning).to_contain_text("Europe/Berlin")
    expect(meaning.locator("time")).to_have_count(5)
    form.get_by_label("count").fill("7")
    form.get_by_role("button", name="Schedule").click()
    await_notice(page, "annual is scheduled")

    page.get_by_role("tab", name="Background tasks").click()
    row = page.locator("#opspawn-tasks .opspawn-schedule", has_text="annual")
    expect(row).to_contain_text("02:30")
    row.get_by_role("button", name="Pause annual").press("Enter")
    expect(row.locator(".opspawn-pill")).to_have_text("‖ paused")
    row.get_by_role("button", name="Edit annual").click()
    expect(row.get_by_label("count")).to_have_value("7")
    row.get_by_label("When").select_option("every so often")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("every hour")
    made = lab.api("GET", "schedules/annual")["schedule"]
    assert made["plan"]["submission"]["spec"]["parameters_text"] == {"count": "7"}
    row.get_by_role("button", name="Delete annual").click()
    row.get_by_role("button", name="Really delete annual").click()
    expect(row).to_have_count(0)
