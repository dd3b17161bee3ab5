"""The life of a task through the verbs, over the real store and queue."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, CellState, EventType, State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.work import ReportRequest, TakeAnswer, TakeRequest
from opspawn_jupyter.orchestrator import rescue
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.pace import Pace
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.queues.local import LocalQueue
from tests.unit.orchestrator.stage import (
    CELL,
    PLANNED,
    STARTED,
    SUCCEEDED,
    NoteKind,
    Scenario,
    note,
    of,
    reported,
    started,
)


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_the_event_loop_pins_what_is_small_while_that_is_quick(
    play: Callable[[Scenario], None],
) -> None:
    """To hand it to a thread takes as long; but nobody is kept by a slow disk or by much work."""

    class Kind(NoteKind):
        def __init__(self) -> None:
            self.threads: list[bool] = []

        def prepare(self, spec: Mapping[str, Any]) -> Prepared:
            self.threads.append(threading.current_thread() is not threading.main_thread())
            return super().prepare(spec)

        def is_small(self, spec: Mapping[str, Any]) -> bool:
            return len(spec["text"]) < 10

    async def scenario(o: Orchestration) -> None:
        kind = Kind()
        for quick_seconds, text in ((math.inf, "few"), (math.inf, "many words"), (0, "few")):
            one = replace(o, kinds={"note": kind}, pinning=Pace(quick_seconds))
            task, _ = await submit(one, note(text), "ada")
            directory = RunDirectory(o.settings.root_directory / task.run_directory)
            assert (directory.path / "note.txt").read_text() == text
        assert kind.threads == [False, True, True]

    play(scenario)


def test_a_task_goes_from_submission_to_success(play: Callable[[Scenario], None]) -> None:
    """The whole way, thin but real."""

    async def scenario(o: Orchestration) -> None:
        task, is_new = await submit(o, note(labels={"team": "a"}), "ada")
        assert (is_new, task.state, task.name) == (True, State.QUEUED, "note")
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        assert (directory.path / "note.txt").read_text() == "hello"
        assert directory.artifacts.is_dir()

        answer = await take(o, "w", TakeRequest(free_slots=1))
        (assignment,) = answer.assignments
        assert (assignment.task_id, assignment.attempt) == (task.id, 1)
        assert Path(assignment.run_directory) == directory.path

        await report(o, "w", of(task, STARTED, PLANNED, CELL, SUCCEEDED))
        done = await find(o, task.id)
        assert (done.state, done.attempt, done.worker) == (State.SUCCESS, 1, "w")

    play(scenario)


@pytest.mark.parametrize(
    ("submission", "error"),
    [
        (Submission(kind="dance", spec={}), errors.UnknownKind),
        (Submission(kind="note", spec={}), errors.InvalidRequest),
        (note(name=" "), errors.InvalidRequest),
        (note(name="x" * 201), errors.InvalidRequest),
        (note(policy=Policy(timeout_seconds=0)), errors.InvalidRequest),
        (note(policy=Policy(cell_timeout_seconds=float("nan"))), errors.InvalidRequest),
    ],
)
def test_a_bad_submission_leaves_nothing(
    play: Callable[[Scenario], None], submission: Submission, error: type[errors.OpspawnError]
) -> None:
    """Refused means: no row, no directory, no queue entry."""

    async def scenario(o: Orchestration) -> None:
        with pytest.raises(error):
            await submit(o, submission, "ada")

        assert await o.store.unfinished() == ()
        assert files(o.settings.runs_directory) == []

    play(scenario)


def test_a_task_that_cannot_be_stored_leaves_no_directory(
    play: Callable[[Scenario], None],
) -> None:
    """A full disk must not fill the disk further."""

    async def scenario(o: Orchestration) -> None:
        await o.store.close()

        with pytest.raises(errors.StoreUnavailable):
            await submit(o, note(), "ada")

        assert files(o.settings.runs_directory) == []

    play(scenario)


def test_the_same_key_gives_the_same_task(play: Callable[[Scenario], None]) -> None:
    """A client that repeats a request after a time-out must not start it twice."""

    async def scenario(o: Orchestration) -> None:
        pairs = await asyncio.gather(
            *(submit(o, note(idempotency_key="k"), "ada") for _ in range(5))
        )

        assert len({task.id for task, _ in pairs}) == 1
        assert sorted(is_new for _, is_new in pairs) == [False] * 4 + [True]
        assert len(files(o.settings.runs_directory)) == 1
        with pytest.raises(errors.IdempotencyConflict):
            await submit(o, note("other", idempotency_key="k"), "ada")

    play(scenario)


def test_a_repeated_report_changes_nothing_and_tells_nothing(
    play: Callable[[Scenario], None],
) -> None:
    """Workers repeat what was not acknowledged."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        before = len(o.bus.told)  # type: ignore[attr-defined]  # the recording bus

        await report(o, "w", of(task, STARTED, PLANNED, CELL))
        await asyncio.gather(*(report(o, "w", of(task, CELL, SUCCEEDED)) for _ in range(4)))

        told = o.bus.told[before:]  # type: ignore[attr-defined]  # the recording bus
        assert [event.type for event in told] == [EventType.SUCCEEDED]
        assert (await find(o, task.id)).state is State.SUCCESS

    play(scenario)


def test_the_ends_of_many_tasks_are_stored_together_and_each_told_once(
    play: Callable[[Scenario], None],
) -> None:
    """Small steps end by the hundred; one whose end is known has no say about the others."""

    async def scenario(o: Orchestration) -> None:
        tasks = [await started(o) for _ in range(5)]
        before = len(o.bus.told)  # type: ignore[attr-defined]  # the recording bus
        await report(o, "w", of(tasks[0], SUCCEEDED))
        all_of_them = [one for task in tasks for one in of(task, SUCCEEDED).reports]
        late = of(await cancelled(o, tasks[1]), SUCCEEDED).reports

        for _ in range(2):
            await report(o, "w", ReportRequest(reports=(*all_of_them[:1], *late, *all_of_them[2:])))

        told = o.bus.told[before:]  # type: ignore[attr-defined]  # the recording bus
        ended = [event.task_id for event in told if event.type in OUTCOME_EVENTS.values()]
        assert sorted(ended) == sorted(task.id for task in tasks)
        states = [(await find(o, task.id)).state for task in tasks]
        assert states == [State.SUCCESS, State.CANCELLED, *[State.SUCCESS] * 3]

    async def cancelled(o: Orchestration, task: Task) -> Task:
        await report(o, "w", of(task, reported(EventType.CANCELLED, 4)))
        return task

    play(scenario)


def test_a_late_report_has_no_say(play: Callable[[Scenario], None]) -> None:
    """What was settled stays settled."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        await rescue.worker_lost(o, "w")

        await report(o, "w", of(task, SUCCEEDED))

        assert (await find(o, task.id)).state is State.CRASHED

    play(scenario)


def test_outputs_are_told_in_order_but_not_stored(play: Callable[[Scenario], None]) -> None:
    """A listener must see a cell's output between its start and its end."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        output = reported(EventType.CELL_OUTPUT, index=0, output_number=1)

        await report(o, "w", of(task, output, SUCCEEDED))

        *_, told, last = o.bus.told  # type: ignore[attr-defined]  # the recording bus
        assert (told.type, last.type) == (EventType.CELL_OUTPUT, EventType.SUCCEEDED)
        assert told.seq == last.seq - 1
        stored = await o.store.events(task_id=task.id)
        assert EventType.CELL_OUTPUT not in {event.type for event in stored}

    play(scenario)


def test_a_report_may_bring_outputs_alone(play: Callable[[Scenario], None]) -> None:
    """A cell that prints for an hour is heard meanwhile."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)

        await report(o, "w", of(task, reported(EventType.CELL_OUTPUT, index=0, output_number=1)))

        assert o.bus.told[-1].type is EventType.CELL_OUTPUT  # type: ignore[attr-defined]

    play(scenario)


def test_reports_on_unknown_tasks_are_named(play: Callable[[Scenario], None]) -> None:
    """The worker must be able to forget them."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)

        answer = await report(o, "w", of(replace(task, id="gone"), STARTED))

        assert answer.unknown == ("gone",)

    play(scenario)


CANCELLED = reported(EventType.CANCELLED, 2, error={"name": "Cancelled", "message": "by eve"})
ASKING = TakeRequest(free_slots=1, wait_seconds=0)


def test_a_waiting_task_is_cancelled_at_once(play: Callable[[Scenario], None]) -> None:
    """It is handed to nobody any more."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")

        cancelled = await cancel(o, task.id, "eve")

        assert cancelled.state is State.CANCELLED
        assert cancelled.error is not None
        assert "eve" in cancelled.error.message
        assert (await take(o, "w", ASKING)).assignments == ()

    play(scenario)


def test_a_worker_that_asks_anew_is_answered_on_its_earlier_request(
    play: Callable[[Scenario], None],
) -> None:
    """It has a slot more to offer by then: nothing may be given to the request that it left."""

    async def scenario(o: Orchestration) -> None:
        waiting = TakeRequest(free_slots=0, wait_seconds=3600)
        earlier = asyncio.ensure_future(take(o, "w", waiting))
        other = asyncio.ensure_future(take(o, "v", waiting))
        await asyncio.sleep(0)

        later = asyncio.ensure_future(take(o, "w", replace(waiting, free_slots=1)))

        assert await earlier == TakeAnswer()
        task, _ = await submit(o, note(), "ada")
        (assignment,) = (await later).assignments
        assert assignment.task_id == task.id
        assert not other.done()
        other.cancel()

    play(scenario)


def test_a_task_in_a_workers_hands_is_cancelled_by_it(play: Callable[[Scenario], None]) -> None:
    """Its cells may run before anybody hears of the start: were it called withdrawn, they would
    have run for a task that never started."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        await take(o, "w", ASKING)

        asked = await cancel(o, task.id, "eve")

        assert (asked.state, asked.cancel_requested) == (State.QUEUED, True)
        answer = await take(o, "w", TakeRequest(free_slots=1, held={task.id: 1}, wait_seconds=0))
        assert answer.cancel == (task.id,)
        await report(o, "w", of(task, STARTED))
        assert (await find(o, task.id)).state is State.RUNNING
        await report(o, "w", of(task, CANCELLED))
        done = await find(o, task.id)
        assert (done.state, done.attempt) == (State.CANCELLED, 1)

    play(scenario)


def test_a_cancelled_task_that_got_lost_on_its_way_ends(play: Callable[[Scenario], None]) -> None:
    """The worker says by what it holds that it never had it; it is not given it again."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        await take(o, "w", ASKING)
        await cancel(o, task.id, "eve")

        assert (await take(o, "w", ASKING)).assignments == ()

        done = await find(o, task.id)
        assert (done.state, done.attempt) == (State.CANCELLED, 0)

    play(scenario)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_cancelled_task_whose_worker_died_unheard_ends(
    play: Callable[[Scenario], None], is_restarted: bool
) -> None:
    """Nobody else takes it up, and it needs no other worker to end."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        await take(o, "w", ASKING)
        await cancel(o, task.id, "eve")

        if is_restarted:
            await rescue.recover(replace(o, queue=LocalQueue()), ())
        else:
            await rescue.worker_lost(o, "w")

        assert (await find(o, task.id)).state is State.CANCELLED

    play(scenario)


def test_what_an_unheard_worker_may_have_is_not_called_withdrawn(
    play: Callable[[Scenario], None],
) -> None:
    """A server that comes back does not know what the last one handed out in its last moment,
    until the worker has said it."""

    async def scenario(o: Orchestration) -> None:
        begun, _ = await submit(o, note(), "ada")
        waiting, _ = await submit(o, note(), "ada")
        await take(o, "w", ASKING)
        again = replace(o, queue=LocalQueue())
        await rescue.recover(again, ["w"])

        for task in (begun, waiting):
            assert (await cancel(again, task.id, "eve")).state is State.QUEUED
        answer = await take(again, "w", replace(ASKING, held={begun.id: 1}))

        assert (answer.assignments, answer.cancel) == ((), (begun.id,))
        assert (await find(o, waiting.id)).state is State.CANCELLED
        await report(again, "w", of(begun, STARTED, CANCELLED))
        assert (await find(o, begun.id)).attempt == 1

    play(scenario)


def test_who_asks_while_a_task_is_withdrawn_does_not_get_it(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes its time: until then the store calls the task queued."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        disk, append = asyncio.Event(), o.store.append

        async def append_later(drafts: Sequence[Draft]) -> tuple[Event, ...]:
            await disk.wait()
            return await append(drafts)

        with monkeypatch.context() as slow:
            slow.setattr(o.store, "append", append_later)
            cancelling = asyncio.ensure_future(cancel(o, task.id, "eve"))
            await asyncio.sleep(0)
            assert (await find(o, task.id)).state is State.QUEUED
            answer = await take(o, "w", ASKING)
            disk.set()
            await asyncio.wait({cancelling})

        assert answer.assignments == ()
        assert (await cancelling).state is State.CANCELLED
        assert (await take(o, "v", ASKING)).assignments == ()

    play(scenario)


def test_a_task_that_cannot_be_withdrawn_is_handed_out_after_all(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk refuses the cancellation; the task must not wait for ever."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        disk = asyncio.Event()

        async def refuse(_drafts: object) -> None:
            await disk.wait()
            raise errors.StoreUnavailable(hint="No space left on device")

        with monkeypatch.context() as full:
            full.setattr(o.store, "append", refuse)
            cancelling = asyncio.ensure_future(cancel(o, task.id, "eve"))
            await asyncio.sleep(0)
            assert (await take(o, "w", ASKING)).assignments == ()
            disk.set()
            with pytest.raises(errors.StoreUnavailable):
                await cancelling

        (assignment,) = (await take(o, "w", ASKING)).assignments
        assert assignment.task_id == task.id

    play(scenario)


def test_a_running_task_is_cancelled_by_its_worker(play: Callable[[Scenario], None]) -> None:
    """The request wakes the worker's long poll; the worker's report ends the task."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        waiting = asyncio.create_task(
            take(o, "w", TakeRequest(free_slots=0, held={task.id: 1}, wait_seconds=20))
        )
        await asyncio.sleep(0)

        assert (await cancel(o, task.id, "eve")).cancel_requested
        assert (await cancel(o, task.id, "eve")).state is State.RUNNING
        assert (await asyncio.wait_for(waiting, PATIENCE_SECONDS)).cancel == (task.id,)

        error = wire.encode({"name": "Cancelled", "message": "by eve"})
        await report(o, "w", of(task, reported(EventType.CANCELLED, 4, error=error)))
        done = await find(o, task.id)
        assert (done.state, done.cells[0].state) == (State.CANCELLED, CellState.CANCELLED)
        with pytest.raises(errors.IllegalTransition, match="cancelled"):
            await cancel(o, task.id, "eve")

    play(scenario)


def test_a_dead_workers_task_ends_with_what_it_wrote_down(
    play: Callable[[Scenario], None],
) -> None:
    """No finished result is lost, even when server and worker both died."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        journal = RunDirectory(o.settings.root_directory / task.run_directory).events
        records = [{**wire.encode(event), "attempt": 1} for event in (CELL, SUCCEEDED)]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        journal.write_text(lines + '{"torn')

        await rescue.worker_lost(o, "w")

        assert (await find(o, task.id)).state is State.SUCCESS

    play(scenario)


def test_a_start_that_was_never_reported_is_not_repeated(
    play: Callable[[Scenario], None],
) -> None:
    """A worker was given a task, ran it, and died while there was no server to tell: given out
    again, the cells would run twice."""

    async def scenario(o: Orchestration) -> None:
        begun, _ = await submit(o, note(), "ada")
        unborn, _ = await submit(o, note(), "ada")
        await take(o, "w", TakeRequest(free_slots=2))
        journal = RunDirectory(o.settings.root_directory / begun.run_directory).events
        lost = [{**wire.encode(event), "attempt": 1} for event in (STARTED, PLANNED)]
        journal.write_text("".join(json.dumps(record) + "\n" for record in lost))

        await rescue.worker_lost(o, "w")

        assert (await find(o, begun.id)).state is State.CRASHED
        answer = await take(o, "new", TakeRequest(free_slots=5))
        assert [assignment.task_id for assignment in answer.assignments] == [unborn.id]

    play(scenario)


def test_an_end_that_only_the_steps_process_wrote_down_has_its_summary(
    play: Callable[[Scenario], None],
) -> None:
    """A process of a pool keeps the journal, and its worker died before it heard of the step."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        await take(o, "w", TakeRequest(free_slots=1))
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        events = (STARTED, PLANNED, CELL, SUCCEEDED)
        records = [{**wire.encode(event), "attempt": 1} for event in events]
        directory.events.write_text("".join(json.dumps(record) + "\n" for record in records))

        await rescue.worker_lost(o, "w")

        assert (await find(o, task.id)).state is State.SUCCESS
        assert json.loads(directory.summary.read_text())["state"] == "success"

    play(scenario)


@pytest.mark.parametrize("line", ["{", "[]", '{"attempt": 1}', '{"attempt": 1, "type": "x"}'])
def test_a_journal_that_makes_no_sense_stops_nobody(
    play: Callable[[Scenario], None], line: str
) -> None:
    """It lies where cells can write; a server that does not start for it would be held hostage."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        journal = RunDirectory(o.settings.root_directory / task.run_directory).events
        nonsense = {**wire.encode(reported(EventType.CELL_STARTED, 9)), "attempt": 1}
        journal.write_text(f"{line}\n{json.dumps(nonsense)}\n")

        await rescue.recover(o, live_workers=())

        assert (await find(o, task.id)).state is State.CRASHED

    play(scenario)


def test_what_runner_and_worker_could_not_write_is_settled(
    play: Callable[[Scenario], None],
) -> None:
    """Executed notebook and summary say what the history says, also where nobody lived to do it."""

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        directory = RunDirectory(o.settings.root_directory / task.run_directory)
        running = {"opspawn": {"state": "running", "duration_seconds": None}}
        cell = {"cell_type": "code", "source": "1", "metadata": running, "outputs": []}
        directory.output.write_text(json.dumps({"cells": [cell], "metadata": {}}))

        await rescue.worker_lost(o, "w")

        crashed = await find(o, task.id)
        (written,) = json.loads(directory.output.read_text())["cells"]
        assert written["metadata"]["opspawn"]["state"] == crashed.cells[0].state == "crashed"
        assert json.loads(directory.summary.read_text())["state"] == "crashed"

    play(scenario)


def test_after_a_restart_nothing_is_lost_and_nothing_runs_for_ever(
    play: Callable[[Scenario], None],
) -> None:
    """Queued tasks go back into the queue; running ones whose worker is gone have crashed."""
    ids: dict[str, str] = {}

    async def before(o: Orchestration) -> None:
        ids["running"] = (await started(o)).id
        ids["queued"] = (await submit(o, note(), "ada"))[0].id

    async def after(o: Orchestration) -> None:
        await rescue.recover(o, live_workers=())

        crashed = await find(o, ids["running"])
        assert (crashed.state, crashed.cells[0].state) == (State.CRASHED, CellState.CRASHED)
        answer = await take(o, "new", TakeRequest(free_slots=5))
        assert [assignment.task_id for assignment in answer.assignments] == [ids["queued"]]

    play(before)
    play(after)


def test_after_a_restart_a_living_worker_goes_on(play: Callable[[Scenario], None]) -> None:
    """The server may be restarted under a run of many hours."""
    ids: list[str] = []

    async def before(o: Orchestration) -> None:
        ids.append((await started(o)).id)

    async def after(o: Orchestration) -> None:
        await rescue.recover(o, live_workers=("w",))
        task = await find(o, ids[0])
        assert task.state is State.RUNNING

        await report(o, "w", of(task, SUCCEEDED))
        assert (await find(o, ids[0])).state is State.SUCCESS

    play(before)
    play(after)


def test_people_find_a_task_by_the_end_of_its_id(play: Callable[[Scenario], None]) -> None:
    """Nobody types 36 characters."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")

        assert await find(o, task.id[-8:]) == task
        for reference in (task.id[-3:], "ffffffff-ffff", ""):
            with pytest.raises(errors.TaskNotFound):
                await find(o, reference)

    play(scenario)
