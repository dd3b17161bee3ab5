"""Retries by policy and by hand, tasks that wait for their time, and circuit breakers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.policy import Jitter, Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.model.work import ReportedEvent, TakeRequest
from opspawn_jupyter.orchestrator import rescue
from opspawn_jupyter.orchestrator.alarm import Alarm
from opspawn_jupyter.orchestrator.breaker import Breakers, Rule
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.retry import retry, settled
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.orchestrator.wake import keep_waking, wake_due
from opspawn_jupyter.queues.local import LocalQueue
from tests.contract.test_queue import task as queued_task
from tests.unit.orchestrator.stage import STARTED, SUCCEEDED, note, of, reported

Play = Callable[..., None]

ONCE_MORE = Policy(max_retries=1, retry_delay_seconds=60, retry_jitter=Jitter.NONE)
FAILED = reported(EventType.FAILED, 2, error={"name": "ValueError", "message": "no"})
CRASHED = reported(EventType.CRASHED, 2, error={"name": "crashed", "message": "gone"})


async def run(o: Orchestration, task: Task, *events: ReportedEvent, attempt: int = 1) -> Task:
    """A worker takes the task, and tells these events."""
    answer = await take(o, "w", TakeRequest(free_slots=1, wait_seconds=5))
    assert [(one.task_id, one.attempt) for one in answer.assignments] == [(task.id, attempt)]
    await report(o, "w", of(task, *events, attempt=attempt))
    return await find(o, task.id)


def later(task: Task) -> datetime:
    """When the task is due."""
    assert task.due_at is not None
    return task.due_at


@pytest.mark.parametrize("outcome", [State.FAILED, State.TIMED_OUT, State.CRASHED])
def test_an_outcome_that_is_retried_becomes_a_retry(outcome: State) -> None:
    """The rule, by itself: which event is stored, and when the next attempt is due."""
    task = queued_task("t", **vars(ONCE_MORE))
    told = Draft(task_id="t", type=OUTCOME_EVENTS[outcome], attempt=1, number=7)

    stored = settled(task, told, chance=0.5)

    assert stored.type is EventType.RETRYING
    assert (stored.attempt, stored.number, stored.at) == (1, 7, told.at)
    assert stored.data["outcome"] == outcome
    assert stored.data["retry_at"] == (told.at + timedelta(seconds=60)).isoformat()


@pytest.mark.parametrize(
    ("type", "attempt", "changes"),
    [
        (EventType.FAILED, 2, {}),
        (EventType.FAILED, 1, {"retry_on": (State.CRASHED, State.TIMED_OUT)}),
        (EventType.FAILED, 1, {"max_retries": 0}),
        (EventType.SUCCEEDED, 1, {}),
        (EventType.CANCELLED, 1, {}),
        (EventType.STARTED, 1, {}),
    ],
)
def test_what_is_not_retried_stays_as_it_was_told(
    type: EventType, attempt: int, changes: dict[str, object]
) -> None:
    """Used-up retries, other outcomes, and events that are none."""
    task = queued_task("t", **{**vars(ONCE_MORE), **changes})
    told = Draft(task_id="t", type=type, attempt=attempt, number=7)

    assert settled(task, told) == told


def test_a_task_that_fails_once_succeeds_at_the_second_try(play: Play) -> None:
    """And its history tells how each attempt ended."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")

        waiting = await run(o, task, STARTED, FAILED)
        assert (waiting.state, waiting.attempt) == (State.RETRYING, 1)
        assert waiting.error is not None
        assert (await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))).assignments == ()

        await wake_due(o, later(waiting))
        done = await run(o, task, STARTED, replace(SUCCEEDED, number=2), attempt=2)
        assert (done.state, done.attempt, done.error) == (State.SUCCESS, 2, None)

        events = await o.store.events(task_id=task.id)
        assert [(event.type, event.attempt) for event in events] == [
            (EventType.SUBMITTED, 0),
            (EventType.QUEUED, 0),
            (EventType.STARTED, 1),
            (EventType.RETRYING, 1),
            (EventType.QUEUED, 0),
            (EventType.STARTED, 2),
            (EventType.SUCCEEDED, 2),
        ]
        table = await o.store.sql("SELECT attempt, outcome, error_name FROM attempts ORDER BY 1")
        assert table.rows == ((1, "failed", "ValueError"), (2, "success", None))

    play(scenario)


def test_the_last_attempts_outcome_is_the_tasks(play: Play) -> None:
    """Retries are not for ever; what they did not help is a dead letter until somebody cares."""

    async def scenario(o: Orchestration) -> None:
        plain, _ = await submit(o, note(), "ada")
        await run(o, plain, STARTED, FAILED)
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        waiting = await run(o, task, STARTED, FAILED)
        await wake_due(o, later(waiting))

        ended = await run(o, task, STARTED, FAILED, attempt=2)

        assert ended.state is State.FAILED
        dead = TaskQuery(is_dead=True)
        assert [one.id for one in (await o.store.tasks(dead)).tasks] == [task.id]
        assert (await o.store.sql("SELECT id FROM dead_letters")).rows == ((task.id,),)
        await retry(o, task.id, "eve")
        assert (await o.store.tasks(dead)).tasks == ()
        assert (await o.store.sql("SELECT id FROM dead_letters")).rows == ()

    play(scenario)


def test_a_repeated_report_of_an_attempt_that_is_retried_changes_nothing(play: Play) -> None:
    """Also when the next attempt is under way by then."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        waiting = await run(o, task, STARTED, FAILED)
        await report(o, "w", of(task, STARTED, FAILED))
        assert await find(o, task.id) == waiting

        await wake_due(o, later(waiting))
        running = await run(o, task, STARTED, attempt=2)
        await report(o, "w", of(task, STARTED, FAILED))

        assert await find(o, task.id) == running

    play(scenario)


def test_a_dead_workers_task_is_tried_again(play: Play) -> None:
    """The commonest reason for retries."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        await run(o, task, STARTED)

        await rescue.worker_lost(o, "w")

        waiting = await find(o, task.id)
        assert waiting.state is State.RETRYING
        await wake_due(o, later(waiting))
        assert (await run(o, task, STARTED, attempt=2)).state is State.RUNNING
        # The worker was not dead after all: it must drop what another has by now.
        told = await take(o, "old", TakeRequest(free_slots=0, held={task.id: 1}, wait_seconds=0))
        assert told.cancel == (task.id,)

    play(scenario)


def test_a_retrying_task_is_cancelled_at_once(play: Play) -> None:
    """Nobody waits for the next attempt's time to be rid of it."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        waiting = await run(o, task, STARTED, FAILED)

        cancelled = await cancel(o, task.id, "eve")

        assert cancelled.state is State.CANCELLED
        await wake_due(o, later(waiting))
        assert (await find(o, task.id)).state is State.CANCELLED

    play(scenario)


def test_a_cancelled_task_is_not_retried(play: Play) -> None:
    """Whatever outcome its worker tells."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        before = await run(o, task, STARTED)
        await cancel(o, task.id, "eve")

        # The worker's report was decided upon before the cancellation was known.
        with pytest.raises(errors.IllegalTransition):
            await o.store.append(
                [settled(before, Draft(task_id=task.id, type=EventType.CRASHED, attempt=1))]
            )
        await report(o, "w", of(task, FAILED))

        assert (await find(o, task.id)).state is State.FAILED

    play(scenario)


def test_after_a_restart_a_retry_comes_when_it_is_due(play: Play) -> None:
    """The timer lives in memory; what it stands for does not."""
    ids: dict[str, str] = {}
    soon = clock.now() + timedelta(hours=1)

    async def before(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        await run(o, task, STARTED, FAILED)
        ids["retrying"] = task.id
        ids["early"] = (await submit(o, note(policy=Policy(not_before=soon)), "ada"))[0].id

    async def after(o: Orchestration) -> None:
        await rescue.recover(o, live_workers=())
        assert (await find(o, ids["early"])).state is State.PENDING

        await wake_due(o, soon - timedelta(seconds=1))
        assert (await find(o, ids["early"])).state is State.PENDING
        assert (await find(o, ids["retrying"])).state is State.QUEUED

        await wake_due(o, soon)
        assert (await find(o, ids["early"])).state is State.QUEUED

    play(before)
    play(after)


def test_a_task_is_woken_at_its_time(play: Play) -> None:
    """By the loop that the server keeps, also where its time is set while the loop sleeps."""

    async def scenario(o: Orchestration) -> None:
        waking = asyncio.create_task(keep_waking(o))
        await asyncio.sleep(0)
        at = clock.now() + timedelta(seconds=0.2)
        task, _ = await submit(o, note(policy=Policy(not_before=at)), "ada")
        assert task.state is State.PENDING

        (assignment,) = (await take(o, "w", TakeRequest(free_slots=1))).assignments

        assert assignment.task_id == task.id
        assert clock.now() >= at
        waking.cancel()

    play(scenario)


def test_a_task_whose_time_has_passed_is_queued_at_once(play: Play) -> None:
    """There is nothing to wait for."""

    async def scenario(o: Orchestration) -> None:
        at = clock.now() - timedelta(days=1)

        task, _ = await submit(o, note(policy=Policy(not_before=at)), "ada")

        assert task.state is State.QUEUED

    play(scenario)


def test_a_store_that_cannot_be_written_is_tried_again(play: Play) -> None:
    """A disk that is full for a minute must not leave a task waiting for ever."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")
        waiting = await run(o, task, STARTED, FAILED)
        await o.store.close()

        await wake_due(o, later(waiting))

        assert o.alarm.pop_due(later(waiting) + timedelta(seconds=10), 9) == [task.id]

    play(scenario)


def test_a_task_is_tried_again_by_hand_as_a_new_task(play: Play) -> None:
    """With what it was given then, though the source has changed or is gone."""

    async def scenario(o: Orchestration) -> None:
        policy = Policy(max_retries=0, priority=3, not_before=clock.now())
        first, _ = await submit(o, note("old", labels={"a": "b"}, policy=policy), "ada")
        await run(o, first, STARTED, FAILED)

        again = await retry(o, first.id, "eve")

        assert again.id != first.id
        assert (again.retry_of, again.state, again.submitted_by) == (first.id, State.QUEUED, "eve")
        assert (again.spec, again.labels) == (first.spec, first.labels)
        assert again.policy == replace(policy, not_before=None)
        directory = RunDirectory(o.settings.root_directory / again.run_directory)
        assert (directory.path / "note.txt").read_text() == "old"
        assert (await find(o, first.id)).state is State.FAILED

    play(scenario)


def test_only_what_ended_without_success_is_tried_again_by_hand(play: Play) -> None:
    """And only what is still there."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        with pytest.raises(errors.IllegalTransition, match="queued"):
            await retry(o, task.id, "eve")
        await run(o, task, STARTED, replace(SUCCEEDED, number=2))
        with pytest.raises(errors.IllegalTransition, match="success"):
            await retry(o, task.id, "eve")

        lost, _ = await submit(o, note(), "ada")
        await run(o, lost, STARTED, FAILED)
        (o.settings.root_directory / lost.run_directory / "note.txt").unlink()
        with pytest.raises(errors.ArtifactNotFound):
            await retry(o, lost.id, "eve")

    play(scenario)


RULE = Rule(failures=2, window=timedelta(seconds=60), cooldown=timedelta(seconds=3600))


def test_a_kind_that_keeps_ending_badly_is_held_tried_and_let_go() -> None:
    """A database that is down must not use up everybody's retries."""

    async def scenario() -> None:
        queue, at = LocalQueue(), clock.now()
        breakers = Breakers(queue, RULE)
        for id in "abc":
            await queue.put(queued_task(id))
        breakers.note("notebook", State.FAILED, at)
        assert breakers.problem is None

        breakers.note("notebook", State.CRASHED, at + timedelta(seconds=1))
        assert breakers.problem is not None
        assert "notebook until" in breakers.problem
        assert await queue.take("w", 9, {}) == ()

        breakers.probe("notebook")
        assert await queue.take("w", 9, {}) == ("a",)

        after = at + timedelta(hours=2)
        await queue.remove("a")
        breakers.note("notebook", State.TIMED_OUT, after)
        assert await queue.take("w", 9, {}) == ()

        breakers.probe("notebook")
        breakers.note("notebook", State.SUCCESS, after)
        assert await queue.take("w", 9, {}) == ("b", "c")
        assert breakers.problem is None
        breakers.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "outcomes",
    [
        [(State.FAILED, 0), (State.SUCCESS, 1), (State.FAILED, 2)],
        [(State.FAILED, 0), (State.CANCELLED, 1)],
        [(State.FAILED, 0), (State.FAILED, 61)],
    ],
)
def test_a_breaker_opens_only_for_a_row_within_its_window(
    outcomes: list[tuple[State, int]],
) -> None:
    """A kind that works now and then, or fails rarely, is not to be held."""

    async def scenario() -> None:
        breakers = Breakers(LocalQueue(), RULE)

        for outcome, second in outcomes:
            breakers.note("notebook", outcome, clock.now() + timedelta(seconds=second))

        assert breakers.problem is None

    asyncio.run(scenario())


def test_a_breaker_hears_of_every_attempt(play: Play) -> None:
    """Also of those that are retried; it is off unless the settings say otherwise."""

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(policy=ONCE_MORE), "ada")

        await run(o, task, STARTED, FAILED)

        assert (o.breakers.problem is not None) == bool(o.settings.breaker_failures)
        o.breakers.close()

    play(scenario, breaker_failures=1)
    play(scenario)


def test_bad_hooks_are_refused(play: Play) -> None:
    """Before the task runs for hours and nobody is told."""

    async def scenario(o: Orchestration) -> None:
        for hook, said in {
            "team": "known: mail",
            "ftp://host/": "https://",
            "https://": "names a host",
            "https://ada:secret@host/": "user name",
            "http://[": "cannot be read",
        }.items():
            with pytest.raises(errors.InvalidRequest, match=said) as refusal:
                await submit(o, note(on_failure=(hook,)), "ada")
            assert "secret" not in str(refusal.value)
        with pytest.raises(errors.InvalidRequest, match="at most"):
            await submit(o, note(on_success=("mail",) * 11), "ada")

        task, _ = await submit(o, note(on_success=("mail", "https://host/x")), "ada")
        assert task.on_success == ("mail", "https://host/x")

    play(scenario, notifiers={"mail": "mailto://…"})


def test_an_alarm_names_what_is_due_and_only_that() -> None:
    """The longest due first."""
    alarm, at = Alarm(), clock.now()
    for number, id in enumerate("bac"):
        alarm.set(id, at + timedelta(seconds=number))

    assert alarm.pop_due(at + timedelta(seconds=1), 9) == ["b", "a"]
    assert alarm.pop_due(at + timedelta(seconds=1), 9) == []
