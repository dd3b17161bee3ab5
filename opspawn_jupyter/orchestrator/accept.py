"""Take a task in: pin its files, store it, and let it wait for its turn. All or nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from opspawn_jupyter import faults, timeline
from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.files import link_or_copy, write_new
from opspawn_jupyter.model import clock, task_file, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory, directory_name
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.workflow import WORKERLESS
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A submission that was found good, on its way into the store."""

    submission: Submission
    prepared: Prepared
    submitted_by: str
    #: The task that is tried again, where it is.
    retry_of: str | None = None
    #: As in ``Task``.
    parent_id: str | None = None
    step: str | None = None
    #: When it was submitted, where that was not now.
    created_at: datetime | None = None
    #: What follows the submission, by the task's id, in place of the queue.
    opening: Callable[[str], tuple[Draft, ...]] | None = None
    #: Files of other runs that are to be in the run directory, too, by their path in it.
    linked: Mapping[str, Path] = field(default_factory=dict)
    #: What is stored together with the task of this id, or not at all.
    beside: Callable[[str], Sequence[Draft]] = lambda _: ()

    @property
    def name(self) -> str:
        """For people."""
        return self.submission.name or self.prepared.name


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A task to be."""

    accepted: Accepted
    task_id: str
    created_at: datetime
    directory: Path
    #: What the event of its submission carries.
    data: Mapping[str, object]

    @property
    def record(self) -> Mapping[str, object]:
        """What its run directory says of it."""
        return {"id": self.task_id, "created_at": self.created_at.isoformat(), **self.data}

    def drafts(self) -> list[Draft]:
        """What is stored: it and its place in the queue, or what follows instead."""
        task_id, created_at = self.task_id, self.created_at
        drafts = [Draft(task_id=task_id, type=EventType.SUBMITTED, at=created_at, data=self.data)]
        due_at = self.accepted.submission.policy.not_before
        if self.accepted.opening is not None:
            drafts.extend(self.accepted.opening(task_id))
        elif due_at is None or due_at <= created_at:
            drafts.append(Draft(task_id=task_id, type=EventType.QUEUED, at=created_at))
        return [*drafts, *self.accepted.beside(task_id)]


async def accept(o: Orchestration, accepted: Accepted) -> Task:
    """The task as it is stored: queued, or pending where its time has not come."""
    return await take_in(o, await in_thread(pin, o, accepted))


def pin(o: Orchestration, accepted: Accepted) -> Pinned:
    """Make the run directory. Called in threads, or for what is small where that is quick. Raises
    ``StoreUnavailable``."""
    timeline.reach("server.checked")
    pinned = planned(o, accepted)
    make(pinned, task_file.content([pinned.record]))
    timeline.reach("server.pinned")
    return pinned


def planned(o: Orchestration, accepted: Accepted) -> Pinned:
    """The task to be, whose run directory is still to be made."""
    task_id, created_at = new_id(), accepted.created_at or clock.now()
    directory = o.settings.runs_directory / directory_name(accepted.name, task_id, created_at)
    return Pinned(
        accepted=accepted,
        task_id=task_id,
        created_at=created_at,
        directory=directory,
        data=submitted_data(o, accepted, directory),
    )


async def take_in(o: Orchestration, pinned: Pinned) -> Task:
    """Store the task whose files are there, and let it wait; where it cannot be, they go."""
    (task,) = await take_in_all(o, [pinned])
    logger.info("task submitted task_id=%s kind=%s name=%s", task.id, task.kind, task.name)
    return task


async def take_in_all(o: Orchestration, pinned: Sequence[Pinned]) -> list[Task]:
    """Likewise for several, which are stored together, or none of them is."""
    try:
        faults.reach("server.before_submit")
        stored = await o.store.append([draft for one in pinned for draft in one.drafts()])
    except Exception:  # not a cancellation of the caller: the store may have them all the same
        await asyncio.to_thread(unpin, pinned)
        raise
    timeline.reach("server.stored")
    faults.reach("server.after_submit")
    tasks = [await find(o, one.task_id) for one in pinned]
    # A worker that waits is given them first, then those hear of them who listen.
    for task in tasks:
        await await_turn(o, task)
    o.tell(stored)
    await asyncio.sleep(0)
    return tasks


def unpin(pinned: Sequence[Pinned]) -> None:
    """They are not to be, after all. Called in threads."""
    for one in pinned:
        shutil.rmtree(one.directory, ignore_errors=True)


async def await_turn(o: Orchestration, task: Task) -> None:
    """Have the task wait for a worker, or for its time. A kind that needs no worker is moved on
    by whoever hears that the task is queued."""
    if task.due_at is not None:
        o.alarm.set(task.id, task.due_at)
    elif task.state is State.QUEUED and task.kind not in WORKERLESS:
        await o.queue.put(task)


def submitted_data(o: Orchestration, accepted: Accepted, directory: Path) -> Mapping[str, object]:
    """What the event of the submission carries."""
    submission = accepted.submission
    return {
        "kind": submission.kind,
        "name": accepted.name,
        "spec": dict(accepted.prepared.spec),
        "policy": wire.encode(_in_utc(submission.policy)),
        "labels": dict(submission.labels),
        "run_directory": directory.relative_to(o.settings.root_directory).as_posix(),
        "submitted_by": accepted.submitted_by,
        "idempotency_key": submission.idempotency_key,
        "on_success": list(submission.on_success),
        "on_failure": list(submission.on_failure),
        "pinned": sorted(accepted.prepared.files),
        "retry_of": accepted.retry_of,
        "parent_id": accepted.parent_id,
        "step": accepted.step,
    }


def _in_utc(policy: Policy) -> Policy:
    if policy.not_before is None:
        return policy
    return replace(policy, not_before=policy.not_before.astimezone(UTC))


def _is_linked(source: Path | None, target: str) -> bool:
    if source is None:
        return False
    try:
        os.link(source, target)
    except OSError:  # it has gone, has enough links, or lies where there are none
        return False
    return True


def make(pinned: Pinned, said: bytes, alike: Mapping[str, Path] = MappingProxyType({})) -> None:
    """Make its run directory with all that the task is given; ``said`` is its ``task.json``.

    ``alike`` are files that lie elsewhere already, byte for byte, for good: of small steps, what is
    the same in all of them is one file, because to make one takes longer than such a step.
    Called as ``pin``. Raises ``StoreUnavailable``.
    """
    accepted, directory = pinned.accepted, pinned.directory
    run = RunDirectory(directory)
    try:
        directory.mkdir(parents=True)
        if not is_pooled(accepted.prepared.spec):  # of those, it is made for the whole pool
            run.artifacts.mkdir()
        # As they are, because nobody looks here before the task is stored.
        for name, content in [*accepted.prepared.files.items(), (run.task.name, said)]:
            place = f"{directory}{os.sep}{name}"
            if not _is_linked(alike.get(name), place):
                write_new(place, content)
        for name, source in accepted.linked.items():
            link_or_copy(source, directory / name)
    except OSError as failure:
        shutil.rmtree(directory, ignore_errors=True)
        hint = f"{failure.strerror}: the server must be able to make and write files there"
        raise StoreUnavailable(str(directory), hint=hint) from failure
