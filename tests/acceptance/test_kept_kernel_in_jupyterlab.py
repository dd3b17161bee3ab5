"""The kernel of a failed run, opened in JupyterLab by a person who wants to know why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess

pytestmark = pytest.mark.browser


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


def test_the_executed_notebook_opens_with_all_its_variables(
    browser: Any, lab: JupyterProcess
) -> None:
    """What takes hours to compute need not be computed again to see why it failed."""
    from browser import lab_page, open_notebook

    cells = [nbformat.v4.new_code_cell(source) for source in ("answer = 41 + 1", "1 / 0", "pass")]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(notebook, lab.root / "fails.ipynb")
    submission = {"spec": {"notebook": "fails.ipynb", "keep_on_failure": True}}
    task = lab.await_task(lab.api("POST", "tasks", submission)["id"])
    kernel_id = task["kept_kernel"]["id"]
    wait_until(
        "the kernel is among Jupyter's",
        lambda: kernel_id in [kernel["id"] for kernel in lab.call("GET", "api/kernels")],
    )

    with lab_page(browser) as page:
        open_notebook(page, lab, f"{task['run_directory']}/output.ipynb")
        # JupyterLab shows as many cells as it has found room for, so the last one of those.
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
        page.keyboard.press("Control+A")
        page.keyboard.type("print('answer is', answer)")
        page.keyboard.press("Control+Enter")

        page.get_by_text("answer is 42").first.wait_for()

    lab.call("DELETE", f"api/kernels/{kernel_id}")
    wait_until(
        "its worker lets go of it", lambda: not any(lab.root.glob(".opspawn/kernels/*.json"))
    )
