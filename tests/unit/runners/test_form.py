"""A notebook that many steps run."""

from __future__ import annotations

from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.states import CellState
from opspawn_jupyter.runners.form import Form


def prepared() -> Any:
    """As papermill makes it."""
    injected = new_code_cell("# Parameters\nn = 0\n", metadata={"tags": ["injected-parameters"]})
    markdown = new_markdown_cell("# Trusted\n\ntext", metadata={"trusted": True})
    cells = [markdown, injected, new_code_cell("n\n+ 1"), new_code_cell("n")]
    metadata = {
        "papermill": {"version": "2"},
        "language_info": {"name": "python"},
        "signature": "s",
    }
    return new_notebook(cells=cells, metadata=metadata)


def run(copy: dict[str, Any], shown: str) -> None:
    """What a step does with it."""
    for number, cell in enumerate(copy["cells"][1:3], 1):
        cell["execution_count"] = number
        executed_notebook.set_state(cell, CellState.SUCCESS, 0.5)
    executed_notebook.set_state(copy["cells"][3], CellState.NOT_RUN, None)
    copy["cells"][2]["outputs"] = [
        new_output("execute_result", {"text/plain": shown}, execution_count=2)
    ]
    copy["metadata"]["papermill"]["duration"] = 1e-05


def test_each_step_s_notebook_is_written_as_nbformat_writes_it() -> None:
    """Whoever opens one must not see that only its own parts were made for it."""
    form = Form(prepared())
    for number in range(2):
        copy = form.copy({"n": number}, f"# Parameters\nn = {number}\n")
        run(copy, f"{number}\n+ 1")

        expected = nbformat.v4.writes(nbformat.from_dict(copy)) + "\n"
        assert form.serialised(copy).decode() == expected
        assert copy["metadata"]["papermill"]["parameters"] == {"n": number}


def test_a_step_finds_nothing_of_the_one_before_it() -> None:
    form = Form(prepared())
    run(form.copy({"n": 1}, "n = 1"), "1")

    untouched = form.copy({"n": 2}, "n = 2")

    assert [cell["source"] for cell in untouched["cells"][1:]] == ["n = 2", "n\n+ 1", "n"]
    assert all(cell["outputs"] == [] for cell in untouched["cells"][1:])
    assert all("opspawn" not in cell["metadata"] for cell in untouched["cells"])
    assert "duration" not in untouched["metadata"]["papermill"]


def test_bytes_among_the_outputs_are_written_as_nbformat_writes_them() -> None:
    form = Form(prepared())
    copy = form.copy({}, "")
    run(copy, "")
    output = {"output_type": "display_data", "data": {"image/png": b"iVBO"}, "metadata": {}}
    copy["cells"][2]["outputs"] = [output]

    assert '"image/png": "iVBO' in form.serialised(copy).decode()
