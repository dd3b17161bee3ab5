"""The bytes of a notebook's file are those that nbformat writes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import nbformat
import pytest
from nbformat.notebooknode import from_dict
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)

from opspawn_jupyter.runners.notebook_text import serialised


def everything() -> Any:
    """All that a notebook can hold."""
    outputs = [
        new_output("stream", name="stdout", text="a\nb\r\nä \u2028 \x00\n"),
        new_output("stream", name="stderr", text=""),
        new_output("display_data", {"image/png": "iVBO\nRw==", "text/html": "<b>\n</b>"}),
        new_output(
            "display_data", {"application/json": {"b": [1, 2.5, None, True, {}, []], "a": ""}}
        ),
        new_output("execute_result", {"text/plain": "1\n2"}, execution_count=3),
        new_output("error", ename="E", evalue="v\nw", traceback=["a\nb", "c"]),
    ]
    attachments = {"a.png": {"image/png": "x\ny", "image/svg+xml": "<s>\n</s>"}}
    metadata = {"trusted": True, "tags": [], "papermill": {"duration": 1e-07, "exception": None}}
    return new_notebook(
        cells=[
            new_code_cell("x = 1\n\ny", outputs=outputs, execution_count=3, metadata=metadata),
            new_code_cell(""),
            new_markdown_cell("# ü\ntext", attachments=attachments),
            new_raw_cell(["in lines\n", "already"]),
        ],
        metadata={"signature": "s", "orig_nbformat": 3, "z": {"y": -1}, "a": [[1], ["two"]]},
    )


def nan() -> Any:
    """Python's encoder writes it, and readers written in Python read it."""
    return new_notebook(metadata={"x": [float("nan"), float("inf")]})


def bytes_in_a_bundle() -> Any:
    """As old widgets give them."""
    notebook = new_notebook(cells=[new_code_cell("x")])
    output = {"output_type": "display_data", "data": {"image/png": b"iVBO"}, "metadata": {}}
    notebook.cells[0].outputs = [from_dict(output)]
    return notebook


def keys_that_are_no_texts() -> Any:
    """JSON makes texts of them."""
    return new_notebook(metadata={"x": {2: "two", 1: "one"}})


@pytest.mark.parametrize(
    "make", [everything, new_notebook, nan, bytes_in_a_bundle, keys_that_are_no_texts]
)
def test_a_notebook_is_written_as_nbformat_writes_it(make: Callable[[], Any]) -> None:
    """Whoever saves it again, JupyterLab for one, must find no difference to save."""
    notebook = make()
    before = deepcopy(notebook)

    assert serialised(notebook).decode() == nbformat.v4.writes(notebook) + "\n"
    assert notebook == before


def test_half_a_character_is_written_as_an_escape() -> None:
    """A kernel can print it, and a notebook that cannot be saved were lost."""
    output = new_output("stream", name="stdout", text="\ud83d")
    notebook = new_notebook(cells=[new_code_cell("x", outputs=[output])])

    assert b'"\\ud83d"' in serialised(notebook)
