"""What one attempt leaves behind, event by event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.change import changed
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.work import Assignment, ReportedEvent, ReportRequest
from opspawn_jupyter.worker.history import History
from opspawn_jupyter.worker.outbox import Outbox

STREAM = {"output_type": "stream", "name": "stdout", "text": "no newline"}


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    return Assignment(
        task_id="t",
        attempt=1,
        kind="notebook",
        name="n",
        spec={},
        policy=Policy(),
        run_directory=str(tmp_path / "run"),
        root_directory=str(tmp_path),
    )


def add(history: History, kind: EventType, **data: Any) -> None:
    history.add(ReportedEvent(type=kind, at=now(), data=data))


def journal(tmp_path: Path) -> list[dict[str, Any]]:
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_durable_events_are_numbered_and_journalled(
    tmp_path: Path, assignment: Assignment, outbox: Outbox
) -> None:
    """A server reads the journal of a worker that died: attempt and number are in each line."""
    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w")
    add(history, EventType.CELL_OUTPUT, index=0, output_number=1, clear=True)
    add(history, EventType.SUCCEEDED)
    history.close()

    assert [(one["attempt"], one["number"], one["type"]) for one in journal(tmp_path)] == [
        (1, 1, "task.started"),
        (1, 2, "task.succeeded"),
    ]
    (report,) = wire.decode(ReportRequest, json.loads(outbox.collect())).reports
    assert [event.number for event in report.events] == [1, 0, 2]


def test_what_comes_after_the_outcome_is_dropped(
    tmp_path: Path, assignment: Assignment, outbox: Outbox
) -> None:
    """The server would refuse it; here it costs nothing."""
    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w")
    add(history, EventType.SUCCEEDED)
    add(history, EventType.STEP_LOG, text="late")
    add(history, EventType.CELL_OUTPUT, index=0, output_number=1, clear=True)
    history.close()

    assert len(journal(tmp_path)) == 2
    assert history.task.state is State.SUCCESS


def test_values_that_json_lacks_do_not_break_the_summary(
    tmp_path: Path, assignment: Assignment, outbox: Outbox
) -> None:
    """A mean of nothing is NaN; the summary must stay JSON for any reader."""
    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w")
    add(history, EventType.STEP_OUTPUT, name="mean", value=float("nan"))
    add(history, EventType.SUCCEEDED)
    history.close()

    text = (tmp_path / "run" / "summary.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["outputs"] == {"mean": None}


def test_a_run_directory_that_cannot_be_written_does_not_silence_the_attempt(
    tmp_path: Path, assignment: Assignment, outbox: Outbox
) -> None:
    """The server hears of it even where the disk is full or gone."""
    (tmp_path / "run").write_text("a file is in the way")

    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w")
    history.close()

    (report,) = wire.decode(ReportRequest, json.loads(outbox.collect())).reports
    assert report.events[0].type is EventType.STARTED


def test_the_log_reads_as_a_story(tmp_path: Path, assignment: Assignment, outbox: Outbox) -> None:
    """One line for each thing that happens, and the text of the cells in between."""
    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w")
    add(history, EventType.CELLS_PLANNED, cells=[{"index": 4, "title": "x = 1"}])
    add(history, EventType.CELL_STARTED, index=4)
    output = {"output_type": "stream", "name": "stdout", "text": "no newline"}
    add(history, EventType.CELL_OUTPUT, index=4, output_number=1, output=output)
    add(history, EventType.CELL_FINISHED, index=4, state="success", duration_seconds=0.5)
    add(history, EventType.SUCCEEDED)
    history.close()

    lines = (tmp_path / "run" / "run.log").read_text().splitlines()
    stamped = [line.partition("Z ")[2] or line for line in lines]
    assert stamped[0] == "attempt 1 started"
    assert stamped[1:4] == [
        "cell 1 of 1 started: x = 1",
        "no newline",
        "cell 1 of 1 success after 0.500 s",
    ]
    assert stamped[4].startswith("task success after")


def test_the_log_of_a_small_step_reads_as_that_of_any_other(
    tmp_path: Path, assignment: Assignment, outbox: Outbox
) -> None:
    """Its start tells of its process, and its end of its outputs."""
    history = History(assignment, outbox)
    add(history, EventType.STARTED, worker="w", kernel="python3", pid=7, tier="pool")
    add(history, EventType.SUCCEEDED, cells=[], outputs={"rows": 3})
    history.close()

    lines = (tmp_path / "run" / "run.log").read_text().splitlines()
    said = [line.partition("Z ")[2] for line in lines]
    started = ["attempt 1 started", "kernel python3 started, pid 7, tier pool"]
    assert said[:3] == [*started, "output rows"]
    assert said[3].startswith("task success after")


def test_events_that_come_together_are_written_as_if_one_by_one(
    tmp_path: Path, assignment: Assignment
) -> None:
    """A busy worker hears many at once; what it leaves must not depend on that."""
    told = [
        (EventType.STARTED, {"worker": "w"}),
        (EventType.CELLS_PLANNED, {"cells": [{"index": 4, "title": "x = 1"}]}),
        (EventType.CELL_STARTED, {"index": 4}),
        (EventType.CELL_OUTPUT, {"index": 4, "output_number": 1, "output": STREAM}),
        (EventType.CELL_FINISHED, {"index": 4, "state": "success", "duration_seconds": 0.5}),
        (EventType.CELL_STARTED, {"index": 9, "what": "no such cell"}),
        (EventType.SUCCEEDED, {}),
        (EventType.STEP_LOG, {"text": "late"}),
    ]
    events = [ReportedEvent(type=kind, at=now(), data=data) for kind, data in told]
    left = []
    for name, batches in (("one", [[event] for event in events]), ("all", [events])):
        outbox, directory = Outbox(), tmp_path / name
        history = History(changed(assignment, run_directory=str(directory)), outbox)
        for batch in batches:
            history.add(*batch)
        history.close()
        texts = [(directory / file).read_text() for file in ("events.jsonl", "run.log")]
        summary = json.loads((directory / "summary.json").read_text())
        left.append((texts, summary, outbox.collect(), history.task.state))

    assert left[0] == left[1]
    assert json.loads(left[0][2])["reports"][0]["events"][-1]["type"] == "task.succeeded"
