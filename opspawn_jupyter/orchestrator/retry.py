"""Try again: by the task's policy after an attempt, or by hand after the end.

The policy is kept here and nowhere else. A worker reports the outcome of its attempt and knows
nothing of others; where the task goes on, that outcome is stored as ``task.retrying`` instead.

A finished task never changes. To try one again by hand is to submit a new task with the same
pinned files, spec and policy, which names the old one in ``retry_of``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from opspawn_jupyter.errors import ArtifactNotFound, IllegalTransition
from opspawn_jupyter.model.backoff import delay_seconds
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import TRANSITIONS, EventType, State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)


def settled(task: Task, draft: Draft, chance: float | None = None) -> Draft:
    """The event, or ``task.retrying`` in its place where it is an outcome after which the policy
    has the task go on. ``chance`` is a random number from 0 to 1, for the jitter."""
    if draft.type is EventType.WAITING and task.cancel_requested:
        return replace(draft, type=EventType.CANCELLED)
    transition, policy = TRANSITIONS.get(draft.type), task.policy
    if (
        transition is None
        or transition.target not in policy.retry_on
        or draft.attempt - task.waits > policy.max_retries
        or task.cancel_requested
    ):
        return draft
    delay = delay_seconds(
        draft.attempt - task.waits,
        first_seconds=policy.retry_delay_seconds,
        factor=policy.retry_backoff,
        cap_seconds=policy.retry_max_delay_seconds,
        jitter=policy.retry_jitter,
        chance=random.random() if chance is None else chance,  # noqa: S311 (no secret)
    )
    retry_at = draft.at + timedelta(seconds=delay)
    data = {**draft.data, "outcome": transition.target.value, "retry_at": retry_at.isoformat()}
    return replace(draft, type=EventType.RETRYING, data=data)


async def retry(o: Orchestration, reference: str, by: str) -> Task:
    """A new task that does the same as one that ended without success.

    Raises ``IllegalTransition`` where it has not ended or has succeeded, ``ArtifactNotFound``
    where what it was given is no longer there.
    """
    task = await find(o, reference)
    if not task.state.is_final or task.state is State.SUCCESS:
        hint = f"only a task that ended without success can be; it is {task.state.value}"
        raise IllegalTransition("retry", hint=hint)
    files = await asyncio.to_thread(pinned, o.settings.root_directory, task)
    accepted = Accepted(
        submission=Submission(
            kind=task.kind,
            spec=task.spec,
            name=task.name,
            policy=replace(task.policy, not_before=None),
            labels=task.labels,
            on_success=task.on_success,
            on_failure=task.on_failure,
        ),
        prepared=Prepared(name=task.name, spec=task.spec, files=files),
        submitted_by=by,
        retry_of=task.id,
    )
    again = await accept(o, accepted)
    logger.info("task retried task_id=%s as=%s", task.id, again.id)
    return again


def pinned(root: Path, task: Task) -> Mapping[str, bytes]:
    """What the task was given, by name. Raises ``ArtifactNotFound`` where it is gone."""
    directory = RunDirectory(root / task.run_directory)
    # Tasks from before retries do not say what was pinned: it was the notebook.
    names = task.pinned or (directory.input.name,)
    try:
        return {name: (directory.path / name).read_bytes() for name in names}
    except OSError as failure:
        hint = f"what task {short(task.id)} was given is gone from its run directory"
        raise ArtifactNotFound(failure.filename, hint=hint) from failure
