"""Whatever happens in whatever order, no task is lost, doubled or left hanging.

Hypothesis plays people, workers and accidents against the verbs, the real store and the real
queue: submit, take, lost answers, reports that are repeated, late or out of order, cancel, retry,
dead workers, restarts of the server. What must hold is checked after each step and at the end.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import Assignment, Report, ReportedEvent, ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator import rescue
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.retry import retry
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.orchestrator.wake import wake_due
from tests.unit.orchestrator.stage import note, orchestration, reported

T = TypeVar("T")

OUTCOMES = (EventType.SUCCEEDED, EventType.FAILED, EventType.TIMED_OUT, EventType.CRASHED)
_ERROR = {"name": "E", "message": "m"}
_SLOTS = 2


@dataclass
class Run:
    """One attempt in a worker's hands: what it has told of, and how much the server has."""

    assignment: Assignment
    told: list[ReportedEvent] = field(default_factory=list)
    delivered: int = 0
    is_cancelled: bool = False

    @property
    def has_ended(self) -> bool:
        return self.told[-1].type not in (EventType.STARTED, EventType.STEP_LOG)

    def tell(self, type: EventType, **data: Any) -> None:
        """Write it down in the run directory, as a worker does before it reports."""
        event = reported(type, len(self.told) + 1, **data)
        self.told.append(event)
        record = {**wire.encode(event), "attempt": self.assignment.attempt}
        with RunDirectory(Path(self.assignment.run_directory)).events.open("a") as journal:
            journal.write(json.dumps(record) + "\n")

    def report(self, start: int, end: int) -> ReportRequest:
        events = tuple(self.told[start:end])
        one = Report(
            task_id=self.assignment.task_id, attempt=self.assignment.attempt, events=events
        )
        return ReportRequest(reports=(one,))


class Life(RuleBasedStateMachine):
    """The server, two workers, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp())
        self.world: AbstractAsyncContextManager[Orchestration] | None = None
        self.accepted: list[str] = []
        self.workers: dict[str, list[Run]] = {"w1": [], "w2": []}
        #: How often each attempt of each task was begun.
        self.begun: Counter[tuple[str, int]] = Counter()
        self.born = 2

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, PATIENCE_SECONDS))

    @initialize()
    def open(self) -> None:
        self.world = orchestration(self.root)
        self.o = self.do(self.world.__aenter__())

    @rule(
        retries=st.integers(0, 2),
        priority=st.integers(-1, 1),
        key=st.sampled_from([None, None, "k"]),
    )
    def submit(self, retries: int, priority: int, key: str | None) -> None:
        policy = Policy(max_retries=retries, priority=priority, concurrency_key=key)
        task, _ = self.do(submit(self.o, note(policy=policy), "ada"))
        self.accepted.append(task.id)

    @rule(worker=st.integers(0, 1), arrives=st.booleans())
    def take(self, worker: int, arrives: bool) -> None:
        """A worker asks; the answer may get lost on its way."""
        name = sorted(self.workers)[worker]
        runs = self.workers[name]
        held = {run.assignment.task_id: run.assignment.attempt for run in runs}
        free = _SLOTS - sum(not run.has_ended for run in runs)
        request = TakeRequest(free_slots=free, held=held, wait_seconds=0)
        answer = self.do(take(self.o, name, request))
        if not arrives:
            return
        for assignment in answer.assignments:
            self._begin(name, assignment)
        for run in runs:
            if run.assignment.task_id in answer.cancel and not run.has_ended:
                run.tell(EventType.CANCELLED, error=_ERROR)

    @precondition(lambda self: any(self._going()))
    @rule(data=st.data(), outcome=st.sampled_from([EventType.STEP_LOG, *OUTCOMES]))
    def go_on(self, data: st.DataObject, outcome: EventType) -> None:
        """A cell logs something, or the run ends."""
        _, run = data.draw(st.sampled_from(list(self._going())))
        run.tell(outcome, **({"text": "x"} if outcome is EventType.STEP_LOG else {"error": _ERROR}))

    @precondition(lambda self: any(self.workers.values()))
    @rule(data=st.data(), how=st.sampled_from(["next", "next", "part", "repeat", "ahead"]))
    def report(self, data: st.DataObject, how: str) -> None:
        """The worker reports what is new, a part of it, all of it again, or the end first."""
        name, run = data.draw(st.sampled_from(list(self._runs())))
        start, end = run.delivered, len(run.told)
        if how == "part":
            end = min(end, start + 1)
        elif how == "repeat":
            start = 0
        elif how == "ahead":
            start = max(end - 1, 0)
        self.do(report(self.o, name, run.report(start, end)))
        if how != "ahead":
            run.delivered = max(run.delivered, end)
        self._forget_delivered(name)

    @precondition(lambda self: bool(self.accepted))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(self.accepted))
        was_final = self._task(task_id).state.is_final
        try:
            self.do(cancel(self.o, task_id, "eve"))
        except IllegalTransition:
            assert was_final

    @precondition(lambda self: bool(self.accepted))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        task = self._task(data.draw(st.sampled_from(self.accepted)))
        if task.state.is_final and task.state is not State.SUCCESS:
            self.accepted.append(self.do(retry(self.o, task.id, "eve")).id)

    @rule()
    def wake(self) -> None:
        """Every time that is waited for comes."""
        self.do(wake_due(self.o, clock.now() + timedelta(days=1)))

    @rule(worker=st.integers(0, 1))
    def lose_worker(self, worker: int) -> None:
        """It is killed with all that it runs; another takes its place."""
        name = sorted(self.workers)[worker]
        del self.workers[name]
        self.born += 1
        self.workers[f"w{self.born}"] = []
        self.do(rescue.worker_lost(self.o, name))

    @rule(lost=st.sets(st.integers(0, 1)))
    def restart(self, lost: set[int]) -> None:
        """The server comes back, with workers that lived on and workers that did not."""
        assert self.world is not None
        self.do(self.world.__aexit__(None, None, None))
        for name in [sorted(self.workers)[number] for number in lost]:
            del self.workers[name]
            self.born += 1
            self.workers[f"w{self.born}"] = []
        self.open()
        self.do(rescue.recover(self.o, self.workers.keys()))

    @invariant()
    def every_accepted_task_is_there(self) -> None:
        for task_id in self.accepted:
            assert self._task(task_id).id == task_id

    @invariant()
    def nothing_runs_twice(self) -> None:
        live = Counter(run.assignment.task_id for _, run in self._going())
        assert not [task_id for task_id, count in live.items() if count > 1]
        assert not [attempt for attempt, count in self.begun.items() if count > 1]

    @invariant()
    def keys_are_respected(self) -> None:
        keyed = [run for _, run in self._going() if run.assignment.policy.concurrency_key]
        assert len(keyed) <= 1

    @invariant()
    def what_has_ended_tells_of_every_attempt(self) -> None:
        """No cell runs for a task that was withdrawn before."""
        for task_id, attempt in self.begun:
            task = self._task(task_id)
            assert attempt <= task.attempt or not task.state.is_final, task

    def teardown(self) -> None:
        try:
            if self.world is not None:
                self._let_everything_end()
                self._check_history()
                self.do(self.world.__aexit__(None, None, None))
        finally:
            self.loop.close()
            shutil.rmtree(self.root)

    def _let_everything_end(self) -> None:
        """Workers that work and report bring every task to its end: no state is for ever."""
        for _ in range(4 * len(self.accepted) + 8):
            self.wake()
            for number in range(2):
                self.take(number, arrives=True)
            for name, run in list(self._runs()):
                if not run.has_ended:
                    run.tell(EventType.SUCCEEDED)
                self.do(report(self.o, name, run.report(0, len(run.told))))
                run.delivered = len(run.told)
                self._forget_delivered(name)
        for task_id in self.accepted:
            assert self._task(task_id).state.is_final, self._task(task_id)

    def _check_history(self) -> None:
        """The journal has no gaps, and its events add up to the tasks."""
        events = self.do(self.o.store.events(limit=100_000))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        tasks: dict[str, Task] = {}
        for event in events:
            tasks[event.task_id] = advance(tasks.get(event.task_id), event)
        assert sorted(tasks) == sorted(self.accepted)
        for task in tasks.values():
            assert task == self._task(task.id)
            assert task.attempt <= task.policy.max_retries + 1

    def _begin(self, worker: str, assignment: Assignment) -> None:
        runs = self.workers[worker]
        if any(run.assignment == assignment for run in runs):
            return  # as the worker does
        self.begun[assignment.task_id, assignment.attempt] += 1
        run = Run(assignment)
        run.tell(EventType.STARTED, worker=worker)
        runs.append(run)

    def _forget_delivered(self, worker: str) -> None:
        self.workers[worker] = [
            run
            for run in self.workers[worker]
            if not (run.has_ended and run.delivered == len(run.told))
        ]

    def _runs(self) -> Iterator[tuple[str, Run]]:
        for name in sorted(self.workers):
            for run in self.workers[name]:
                yield name, run

    def _going(self) -> Iterator[tuple[str, Run]]:
        return ((name, run) for name, run in self._runs() if not run.has_ended)

    def _task(self, task_id: str) -> Task:
        task = self.do(self.o.store.task(task_id))
        assert task is not None, f"{task_id} is lost"
        return task


def test_whatever_happens_nothing_is_lost_doubled_or_left_hanging() -> None:
    """The promise of the whole, against random histories."""
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
