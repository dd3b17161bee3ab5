"""A card in a saved notebook: true wherever it is read, and never an error in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import JupyterProcess
from opspawn_magics.live import WIDGET_MIME

pytestmark = pytest.mark.browser

#: How the task stood when the cell showed it.
_STOOD = re.compile("pending|queued|running")
_PANEL = "application/vnd.opspawn.panel+json"


def write(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


@pytest.fixture
def page(browser: Any, lab: JupyterProcess) -> Iterator[Any]:
    from browser import lab_page

    with lab_page(browser) as opened:
        yield opened
    for kernel in lab.call("GET", "api/kernels"):
        lab.call("DELETE", f"api/kernels/{kernel['id']}")


@pytest.fixture
def saved(page: Any, lab: JupyterProcess) -> Path:
    """A notebook whose card was saved while its task ran; the task has failed since."""
    from playwright.sync_api import expect

    from browser import open_notebook, run_cell

    (lab.root / "fail-now").unlink(missing_ok=True)
    wait = "import pathlib, time\nwhile not pathlib.Path('fail-now').exists(): time.sleep(0.05)"
    write(lab.root / "gate.ipynb", wait, "{}['price']")
    write(lab.root / "saved.ipynb", "%load_ext opspawn_jupyter", "%opspawn run gate.ipynb")
    open_notebook(page, lab, "saved.ipynb")
    run_cell(page, 0)
    card = run_cell(page, 1).locator(".jp-OutputArea .opspawn-card")
    expect(card).to_contain_text("cell 1 of 2")
    page.keyboard.press("Control+S")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    (lab.root / "fail-now").touch()
    expect(card.locator(".opspawn-pill").first).to_have_text("✗ failed")
    return lab.root / "saved.ipynb"


def test_it_is_true_wherever_the_notebook_is_read(
    page: Any, lab: JupyterProcess, saved: Path
) -> None:
    """As it stood when it was saved, or as it stands: a reader is told which, and never misled."""
    from nbconvert import HTMLExporter
    from playwright.sync_api import expect

    (output,) = nbformat.read(saved, as_version=4).cells[1].outputs
    assert sorted(output.data) == [_PANEL, "text/html", "text/plain"]

    # Trusted, in JupyterLab: as it stands now.
    page.reload()
    card = page.locator(".jp-OutputArea .opspawn-card")
    expect(card.locator(".opspawn-pill").first).to_have_text("✗ failed")
    expect(card.get_by_role("button", name="Retry gate")).to_be_visible()

    # Not trusted, as from another person: the same, and nothing to press. (Trust is by content.)
    notebook = nbformat.read(saved, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("from somebody else"))
    nbformat.write(notebook, lab.root / "foreign.ipynb")
    page.goto(f"{lab.url}lab/tree/foreign.ipynb?reset&token={lab.token}")
    expect(card.locator(".opspawn-pill").first).to_have_text("✗ failed")
    expect(card.locator("button")).to_have_count(0)

    # In JupyterLab without our extension, trusted and not, also with a widget from elsewhere in it:
    # the picture.
    view = {"model_id": "of-a-kernel-that-is-gone", "version_major": 2, "version_minor": 1}
    notebook.cells[1].outputs[0].data[WIDGET_MIME] = view
    nbformat.write(notebook, lab.root / "widget.ipynb")
    page.route("**/extensions/opspawn-jupyter/**", lambda route: route.abort())
    for name in ("saved", "foreign", "widget"):
        page.goto(f"{lab.url}lab/tree/{name}.ipynb?reset&token={lab.token}")
        shown = page.locator(".jp-OutputArea-output").first
        expect(shown).to_contain_text(_STOOD)
        expect(shown).to_contain_text("gate")
        expect(page.locator(".jp-NotebookPanel")).not_to_contain_text("Error displaying widget")

    # As a web page, where nothing is asked for and no script of ours runs.
    html, _ = HTMLExporter(template_name="basic").from_filename(str(saved))
    page.set_content(html)
    expect(page.locator("body")).to_contain_text(_STOOD)
    assert "widget" not in html
