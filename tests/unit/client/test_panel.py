"""What a live output holds, and what it looks like where nothing draws it."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest

from opspawn_jupyter import connect
from opspawn_jupyter.client.panel import PANEL_MIME, board_panel, task_panel
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import TaskQuery


def test_a_card_holds_what_the_picture_shows_and_no_more(stand_in: Any) -> None:
    """It is saved with the notebook, which is passed on."""
    panel = task_panel(stand_in.submitted("nb"))

    assert panel["view"] == "task"
    assert {"id", "state", "cells", "seq", "run_directory"} <= set(panel["task"])
    assert not {"spec", "policy", "labels", "submitted_by", "worker"} & set(panel["task"])
    json.dumps(panel, allow_nan=False)


def test_a_listing_says_what_it_is_a_list_of() -> None:
    """So that it can go on listing what was asked for."""
    query = TaskQuery(states=(State.FAILED,), labels={"a": "b:c"}, sort="name")

    assert board_panel([], query)["query"] == {
        "state": ["failed"],
        "label": ["a:b:c"],
        "sort": "name",
    }
    assert board_panel([], TaskQuery())["query"] == {}
    assert board_panel([], None)["query"] == {}


def test_a_saved_notebook_is_a_true_picture_as_a_web_page(stand_in: Any) -> None:
    """nbconvert knows nothing of us, and must not say that a widget is missing."""
    exporter = pytest.importorskip("nbconvert.exporters").HTMLExporter()
    bundle = connect().attach(stand_in.submitted("nb"))._repr_mimebundle_()
    assert PANEL_MIME in bundle
    output = nbformat.v4.new_output("execute_result", data=bundle, execution_count=1)
    cell = nbformat.v4.new_code_cell("%opspawn run nb.ipynb", outputs=[output])

    page, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))

    assert "◔ queued" in page
    assert "opspawn.panel" not in page
    assert "Error displaying widget" not in page
