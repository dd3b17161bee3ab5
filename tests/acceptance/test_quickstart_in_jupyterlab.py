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
    from browser import open_notebook, run_cell

    notebook = nbformat.read(lab.root / "quickstart.ipynb", as_version=4)
    open_notebook(page, lab, "quickstart.ipynb")

    shown = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            shown[cell.id] = (
                run_cell(page, number).locator(".jp-OutputArea-output").all_inner_texts()
            )

    assert not page.locator(
        ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']"
    ).count()
    assert "success" in "".join(shown["wait"])
    assert "male_minus_female" in "".join(shown["result"])
    assert "9592 primes below 100000" in "".join(shown["cell"])
    assert re.search(r"penguins.*success", "".join(shown["sql"]), re.DOTALL)


def test_the_executed_notebook_opens_in_the_file_browser(page: Any, lab: JupyterProcess) -> None:
    """The run directory lies where the user sees it, and the result opens like any notebook."""
    from browser import open_notebook

    submission = {"spec": {"notebook": "penguins.ipynb", "parameters": {"year": 2009}}}
    task = lab.await_task(lab.api("POST", "tasks", submission)["id"])

    open_notebook(page, lab, f"{task['run_directory']}/output.ipynb")

    page.locator(".jp-Notebook", has_text="95 % interval").wait_for()
