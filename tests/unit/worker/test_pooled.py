"""An attempt of a step that shares its process, and what it leaves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes

from opspawn_jupyter.model import run_journal, wire
from opspawn_jupyter.model.change import changed
from opspawn_jupyter.model.notebook import NotebookSpec, Tier
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment, ReportedEvent, ReportRequest
from opspawn_jupyter.worker.history import History
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.pool import Pool
from opspawn_jupyter.worker.pooled import PooledAttempt

_DEADLINE_SECONDS = 100.0
#: Shows, gives and logs something.
_BUSY = """
import os
from opspawn_jupyter import step
print("shown")
step.output("early", 1)
step.log("a sign of life")
step.output("late", 2)
os.write(1, b"past Python\\n")
"""
#: Its process puts an event down, and dies before anybody is told.
_LAST_WORDS = """
import json, os, pathlib
event = dict(type={type!r}, at="2126-01-01T00:00:00+00:00", number=2, attempt=1, data={data!r})
with pathlib.Path(os.environ["OPSPAWN_RUN_DIRECTORY"], "events.jsonl").open("a") as journal:
    print(json.dumps(event), file=journal)
os._exit(3)
"""
_NO_JOURNAL = """
import os, pathlib
from opspawn_jupyter import step
step.log("heard")
pathlib.Path(os.environ["OPSPAWN_RUN_DIRECTORY"], "events.jsonl").unlink()
os._exit(3)
"""


def step(run: Path, source: str) -> Assignment:
    """A step that is a notebook of one cell."""
    run.mkdir()
    (run / "input.ipynb").write_text(writes(new_notebook(cells=[new_code_cell(source)])))
    spec = NotebookSpec(
        notebook=None, parameters={}, kernel="python3", language="python",
        working_directory=".", source_sha256=source, tier=Tier.POOL,
    )  # fmt: skip
    return Assignment(
        task_id="t", attempt=1, kind="python_function", name="n", spec=wire.encode(spec),
        policy=Policy(), run_directory=str(run), root_directory=str(run.parent), group="g",
    )  # fmt: skip


def carried_out(assignment: Assignment) -> list[ReportedEvent]:
    """What the server is told of it."""
    outbox = Outbox()

    async def carry_out() -> None:
        launcher = Launcher()
        pool = Pool(launcher, "w")
        attempt = PooledAttempt(assignment, worker_id="w", pool=pool, outbox=outbox)
        left = asyncio.Event()
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                attempt.begin(left.set)
                await left.wait()
                if not attempt.is_over:
                    await attempt.run()
        finally:
            pool.close()
            launcher.close()

    asyncio.run(carry_out())
    (report,) = wire.decode(ReportRequest, json.loads(outbox.collect())).reports
    return list(report.events)


def summary(run: Path) -> dict[str, Any]:
    text = (run / "summary.json").read_text()
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return found


def log(run: Path) -> list[str]:
    """Its lines, without their times and durations."""
    lines = (run / "run.log").read_text().splitlines()
    said = [line.partition("Z ")[2] or line for line in lines]
    return [line.partition(" after ")[0] for line in said]


@pytest.mark.parametrize("end", ["", "1 / 0\n"])
def test_a_step_leaves_what_its_worker_would_write_of_its_events(tmp_path: Path, end: str) -> None:
    """Whoever reads log and summary must not see that its process wrote them."""
    assignment = step(tmp_path / "own", _BUSY + end)
    events = carried_out(assignment)
    (tmp_path / "worker").mkdir()

    history = History(changed(assignment, run_directory=str(tmp_path / "worker")), Outbox())
    history.add(*events)
    history.close()
    assert [event.type for event in events][:4] == [
        EventType.STARTED, EventType.STEP_OUTPUT, EventType.STEP_LOG, EventType.CELL_OUTPUT,
    ]  # fmt: skip
    own, of_worker = summary(tmp_path / "own"), summary(tmp_path / "worker")
    assert own == of_worker
    assert (own["outputs"], own["state"]) == (
        {"early": 1, "late": 2}, "failed" if end else "success",
    )  # fmt: skip
    assert [line for line in log(tmp_path / "own") if line != "past Python"] == log(
        tmp_path / "worker"
    )
    durable = tuple(event for event in events if event.number)
    assert run_journal.events(tmp_path / "own" / "events.jsonl", 1) == durable


@pytest.mark.parametrize(
    ("type", "data", "outcome"),
    [
        (EventType.STEP_OUTPUT, {"name": "x", "value": 1}, EventType.CRASHED),
        (EventType.SUCCEEDED, {"outputs": {"x": 1}}, EventType.SUCCEEDED),
    ],
)
def test_what_a_process_has_put_down_counts_when_it_dies(
    tmp_path: Path, type: EventType, data: dict[str, Any], outcome: EventType
) -> None:
    """It goes on with the next step before it tells how the last one ended."""
    run = tmp_path / "run"
    events = carried_out(step(run, _LAST_WORDS.format(type=type.value, data=data)))

    assert [event.type for event in events][:2] == [EventType.STARTED, type]
    assert (events[-1].type, [event.number for event in events]) == (
        outcome, [*range(1, len(events) + 1)],
    )  # fmt: skip
    assert (summary(run)["state"], summary(run)["outputs"]) == (
        outcome.value.removeprefix("task.").replace("succeeded", "success"), {"x": 1},
    )  # fmt: skip
    assert log(run)[0] == "attempt 1 started"
    assert "output x" in log(run)


def test_a_step_that_removes_its_journal_and_dies_has_its_outcome(tmp_path: Path) -> None:
    """Numbered after all that was told of it: the server takes nothing else."""
    events = carried_out(step(tmp_path / "run", _NO_JOURNAL))

    assert [(event.type, event.number) for event in events] == [
        (EventType.STARTED, 1), (EventType.STEP_LOG, 2), (EventType.CRASHED, 3),
    ]  # fmt: skip
    assert summary(tmp_path / "run")["state"] == "crashed"


def test_a_step_that_has_much_to_say_of_its_failure_is_told_of_in_short(tmp_path: Path) -> None:
    """The event goes into every journal and into memory; one of more than a line may hold kept the
    worker from reporting anything any more. The whole is in the notebook."""
    source = """
from opspawn_jupyter import step
step.progress(0.5, "p" * 200_000)
raise ValueError("x" * 200_000)
"""
    events = carried_out(step(tmp_path / "run", source))

    assert events[-1].type is EventType.FAILED
    assert max(len(event.text) for event in events) < 50_000
    assert (tmp_path / "run" / "run.log").stat().st_size < 50_000
    (cell,) = json.loads((tmp_path / "run" / "output.ipynb").read_text())["cells"]
    assert cell["outputs"][0]["evalue"] == "x" * 200_000


#: Several threads speak at once, each of them interrupted as often as can be.
_MANY_VOICES = """
import sys, threading
from opspawn_jupyter import step
sys.setswitchinterval(1e-6)
failures = []
def speak(own):
    try:
        for number in range(300):
            step.log(f"{own} {number}")
            step.output(f"{own} {number}", number)
    except BaseException as failure:
        failures.append(repr(failure))
threads = [threading.Thread(target=speak, args=(own,)) for own in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
"""


def test_what_threads_of_a_step_say_at_once_is_told_in_order_and_whole(tmp_path: Path) -> None:
    """The server takes an event whose number it has passed for one that it knows."""
    assignment = step(tmp_path / "run", _MANY_VOICES)
    events = carried_out(assignment)

    numbers = [event.number for event in events if event.number]
    assert numbers == sorted(set(numbers))
    assert events[-1].type is EventType.SUCCEEDED
    said = [event.data["text"] for event in events if event.type is EventType.STEP_LOG]
    assert sorted(said) == sorted(f"{own} {number}" for own in range(4) for number in range(300))
    given = {event.data["name"] for event in events if event.type is EventType.STEP_OUTPUT}
    assert given | set(events[-1].data["outputs"]) == set(said)


_FORKS = """
import os
from opspawn_jupyter import step
pid = os.fork()
if not pid:
    step.log("a fork's")
    os._exit(0)
os.waitpid(pid, 0)
step.log("own")
"""


def test_what_a_fork_of_a_step_says_takes_no_number_of_the_steps_own(tmp_path: Path) -> None:
    """Of two events with one number the server takes the first."""
    events = carried_out(step(tmp_path / "run", _FORKS))

    said = [event.data["text"] for event in events if event.type is EventType.STEP_LOG]
    assert said == ["own"]
    assert events[-1].type is EventType.SUCCEEDED
