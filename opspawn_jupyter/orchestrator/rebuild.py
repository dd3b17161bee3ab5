"""Restore the history of tasks from their run directories, into an empty store.

A run directory holds what was submitted (``task.json``) and what the worker saw
(``events.jsonl``). What only the server knew is not there: who cancelled, which hooks were told,
tasks whose run directory was pruned. Every submission is marked as rebuilt.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import clock, task_file, wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import OUTCOME_EVENTS, TRANSITIONS, EventType, State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.work import ReportedEvent
from opspawn_jupyter.ports import Store

_OUTCOMES = frozenset(OUTCOME_EVENTS.values())


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What came of it."""

    #: Tasks restored.
    tasks: int
    #: Of these, tasks without an end: they are now crashed or cancelled.
    ended: int
    #: Of these, tasks that a living worker is still running.
    running: int
    #: Run directories that could not be used, with the reason.
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run directory, read."""

    submission: Draft
    #: The worker's events, by attempt.
    attempts: tuple[tuple[int, tuple[ReportedEvent, ...]], ...]


class _Unusable(Exception):
    """The reason why a run directory tells nothing."""


async def rebuild(
    store: Store, root: Path, runs_directory: Path, living: Collection[str] = ()
) -> Rebuilt:
    """Append every task of the run directories to the store. ``living``: workers that still run;
    their unfinished tasks stay running."""
    runs, skipped = _read_all(root, runs_directory)
    ended = running = 0
    for run in runs:
        task, drafts = _replay(run)
        if task.state is State.RUNNING and task.worker in living:
            running += 1
        elif not task.state.is_final:
            drafts.append(_end(task, drafts[-1]))
            ended += 1
        await store.append(drafts)
    return Rebuilt(tasks=len(runs), ended=ended, running=running, skipped=tuple(skipped))


def _read_all(root: Path, runs_directory: Path) -> tuple[list[_Run], list[tuple[str, str]]]:
    runs: dict[str, _Run] = {}
    skipped = []
    directories = (path for path in runs_directory.iterdir() if path.is_dir())
    for path in sorted(path for path in directories if not path.name.startswith(".")):
        try:
            run = _read(root, path)
        except _Unusable as reason:
            skipped.append((path.relative_to(root).as_posix(), str(reason)))
            continue
        if run.submission.task_id in runs:
            skipped.append((path.relative_to(root).as_posix(), "it is a copy of another one"))
        else:
            runs[run.submission.task_id] = run
    return sorted(runs.values(), key=lambda run: run.submission.task_id), skipped


def _read(root: Path, path: Path) -> _Run:
    directory = RunDirectory(path)
    try:
        said = task_file.read(directory)
        task_id = str(uuid.UUID(said.pop("id")))
        created_at = datetime.fromisoformat(said.pop("created_at")).astimezone(UTC)
    except FileNotFoundError as failure:
        raise _Unusable(f"it has no {directory.task.name}") from failure
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as failure:
        raise _Unusable(f"its {directory.task.name} cannot be read: {failure}") from failure
    if not path.name.endswith(short(task_id)):
        raise _Unusable("its name does not end with the task's id")
    data = {
        **said,
        "run_directory": path.relative_to(root).as_posix(),
        "rebuilt_at": clock.now().isoformat(),
    }
    submission = Draft(task_id=task_id, type=EventType.SUBMITTED, at=created_at, data=data)
    return _Run(submission=submission, attempts=_attempts(directory.events))


def _attempts(path: Path) -> tuple[tuple[int, tuple[ReportedEvent, ...]], ...]:
    records = sorted(_records(path), key=lambda record: (record[0], record[1].number))
    return tuple(
        (attempt, tuple(event for _, event in group))
        for attempt, group in groupby(records, key=lambda record: record[0])
    )


def _records(path: Path) -> Iterator[tuple[int, ReportedEvent]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return  # it never started
    for line in lines:
        try:
            record = json.loads(line)
            yield int(record["attempt"]), wire.decode(ReportedEvent, record)
        except (ValueError, KeyError, TypeError):
            continue  # its worker died while it wrote this, or it is of a newer version


class _Story:
    """A task's events as far as they are legal, and the task that they make."""

    def __init__(self, submission: Draft) -> None:
        self.drafts = [submission]
        self.task = advance(None, submission)

    def add(self, draft: Draft) -> None:
        """Take the event, unless it makes no sense where it comes."""
        try:
            self.task = advance(self.task, draft)
        except (IllegalTransition, ValueError, KeyError, TypeError):
            return
        self.drafts.append(draft)


def _replay(run: _Run) -> tuple[Task, list[Draft]]:
    """The task as its run directory has it."""
    task_id = run.submission.task_id
    story = _Story(run.submission)
    for number, (attempt, events) in enumerate(run.attempts):
        following = run.attempts[number + 1 :]
        story.add(Draft(task_id=task_id, type=EventType.QUEUED, at=events[0].at))
        for event in events:
            draft = Draft(**vars(event), task_id=task_id, attempt=attempt)
            is_last = not following or event.type not in _OUTCOMES
            story.add(draft if is_last else _retrying(draft, following[0][1][0].at))
        if following and story.task.state is State.RUNNING:
            story.add(_retrying(_end(story.task, story.drafts[-1]), following[0][1][0].at))
    return story.task, story.drafts


def _retrying(outcome: Draft, next_at: datetime) -> Draft:
    """The outcome of an attempt that was not the last one."""
    state = TRANSITIONS[outcome.type].target
    data = {**outcome.data, "outcome": state.value, "retry_at": next_at.isoformat()}
    return replace(outcome, type=EventType.RETRYING, data=data)


def _end(task: Task, last: Draft) -> Draft:
    """The end of a task that has none, at the last moment that is known of it."""
    is_running = task.state is State.RUNNING
    problem = Problem(
        name="WorkerDied" if is_running else "Cancelled",
        message="it was running when the history was lost"
        if is_running
        else "it had not started when the history was lost; submit it again",
    )
    return Draft(
        task_id=task.id,
        type=EventType.CRASHED if is_running else EventType.WITHDRAWN,
        at=last.at,
        attempt=task.attempt if is_running else 0,
        data={"error": wire.encode(problem)},
    )
