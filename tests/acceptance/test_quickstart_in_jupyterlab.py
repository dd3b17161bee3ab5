"""The quick start in JupyterLab, by key presses in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import JupyterProcess

pytestmark = pytest.mark.browser

#: Part of what cells show, by their ids.
SHOWN = {
    "wait": "success",
    "result": "male_minus_female",
    "cell": "9592 primes below 100000",
    "sql": re.compile(r"penguins.*success", re.DOTALL),
}


@pytest.fixture
def page(browser: Any, lab: JupyterProcess, tmp_path: Path) -> Iterator[Any]:
    """An empty page whose last sight is kept; the kernels of the test end with it."""
    from browser import lab_page

    with lab_page(browser) as opened:
        yield opened
        opened.screenshot(path=tmp_path / "last-sight.png")
    for kernel in lab.call("GET", "api/kernels"):
        lab.call("DELETE", f"api/kernels/{kernel['id']}")


def test_every_cell_of_the_quick_start_works(page: Any, lab: JupyterProcess) -> None:
    """What the README shows is what a person gets who presses Ctrl+Enter from top to bottom."""
    from playwright.sync_api import expect

    from browser import open_notebook, run_cell

    notebook = nbformat.read(lab.root / "quickstart.ipynb", as_version=4)
    open_notebook(page, lab, "quickstart.ipynb")

    codes = [(n, cell.id) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    assert {name for _, name in codes} > SHOWN.keys()
    for number, name in codes:
        outputs = run_cell(page, number).locator(".jp-Cell-outputWrapper")
        if name in SHOWN:  # what a cell shows is drawn in its own time
            expect(outputs).to_contain_text(SHOWN[name])
    assert not page.locator(
        ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']"
    ).count()


def test_the_executed_notebook_opens_in_the_file_browser(page: Any, lab: JupyterProcess) -> None:
    """The run directory lies where the user sees it, and the result opens like any notebook."""
    from browser import open_notebook

    submission = {"spec": {"notebook": "penguins.ipynb", "parameters": {"year": 2009}}}
    task = lab.await_task(lab.api("POST", "tasks", submission)["id"])

    open_notebook(page, lab, f"{task['run_directory']}/output.ipynb")

    page.locator(".jp-Notebook", has_text="95 % interval").wait_for()
