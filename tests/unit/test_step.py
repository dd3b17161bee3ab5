"""``step``: what a running notebook says, and silence when it is run by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from opspawn_jupyter import step
from opspawn_jupyter.client.running import STEP_MIME


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Display messages of a shell that runs a task."""
    shell = InteractiveShell.instance()
    publisher = CapturingDisplayPublisher()
    monkeypatch.setattr(shell, "display_pub", publisher)
    monkeypatch.setenv("OPSPAWN_TASK_ID", "a-task")
    return publisher.outputs


def test_a_running_notebook_tells_its_task(said: list[dict[str, Any]]) -> None:
    step.output("rows", 3)
    step.progress(1, "done")
    step.log("hello")

    assert [message["data"] for message in said] == [
        {STEP_MIME: {"output": {"name": "rows", "value": 3}}},
        {STEP_MIME: {"progress": {"fraction": 1.0, "text": "done"}}},
        {STEP_MIME: {"log": {"text": "hello"}}},
    ]


def test_by_hand_nothing_is_shown(
    said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPSPAWN_TASK_ID")

    step.output("rows", 3)
    step.progress(0.5)
    step.log("hello")

    assert said == []


def test_values_of_numpy_and_pandas_are_plain(said: list[dict[str, Any]]) -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")

    step.output("x", {"mean": np.float64(1.5), "n": [np.int64(2)], "a": np.array([1, 2])})
    step.output("day", pd.Timestamp("2026-01-02"))

    values = [message["data"][STEP_MIME]["output"]["value"] for message in said]
    assert values == [{"mean": 1.5, "n": [2], "a": [1, 2]}, "2026-01-02T00:00:00"]


@pytest.mark.parametrize(
    ("value", "error"),
    [(object(), TypeError), (math.nan, ValueError), ({1}, TypeError)],
)
def test_a_value_that_cannot_travel_is_refused_in_the_cell(
    value: object, error: type[Exception]
) -> None:
    """Also by hand: the mistake shows before the notebook runs in the background."""
    with pytest.raises(error, match="'rows'"):
        step.output("rows", value)


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_an_output_needs_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="string"):
        step.output(name, 1)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, "0.5", True])
def test_progress_is_a_fraction(fraction: Any) -> None:
    with pytest.raises(ValueError, match=r"0\.0 to 1\.0"):
        step.progress(fraction)


def test_an_artifact_lies_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSPAWN_RUN_DIRECTORY", str(tmp_path / "run"))

    path = step.artifact("plots/a.png")

    assert path == tmp_path / "run/artifacts/plots/a.png"
    assert path.parent.is_dir()


def test_an_artifact_by_hand_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSPAWN_RUN_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)

    assert step.artifact("a.png") == tmp_path / "a.png"


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../..", "."])
def test_an_artifact_does_not_leave_its_directory(name: str) -> None:
    with pytest.raises(ValueError, match="inside"):
        step.artifact(name)
