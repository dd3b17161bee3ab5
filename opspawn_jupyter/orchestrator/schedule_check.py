"""Whether a schedule could run at all: its task is prepared as it would be at its next due time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256

from opspawn_jupyter.browser import find_browser
from opspawn_jupyter.errors import InvalidRequest, StoreUnavailable
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.schedule import Schedule, Source
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.hooks import check_hooks, check_hooks_of
from opspawn_jupyter.orchestrator.occasion import Occasion, submission_for
from opspawn_jupyter.orchestrator.schedule_files import pinned_file
from opspawn_jupyter.orchestrator.schedule_follows import checked_follows
from opspawn_jupyter.orchestrator.submit import prepare


async def checked(o: Orchestration, schedule: Schedule) -> Schedule:
    """The schedule with its notebook pinned where it asks for that. Raises where a task of it
    would be refused."""
    if schedule.plan.pdf:
        find_browser()
    plan = await checked_follows(o, schedule.plan)
    schedule = replace(schedule, plan=plan)
    check_hooks_of(o.settings, "on_recovery", plan.on_recovery)
    check_hooks_of(o.settings, "on_change", plan.on_change)
    check_hooks(o.settings, plan.submission)
    linked = replace(schedule, plan=replace(plan, source=Source.LINKED))
    due_at = schedule.next_due_at or clock.now()
    occasion = Occasion(due_at=due_at)
    prepared = await prepare(o, await submission_for(o, linked, occasion))
    if plan.source is Source.LINKED:
        return replace(schedule, pinned_sha256=None)
    content = prepared.files.get("input.ipynb")
    if content is None or plan.submission.spec.get("notebook") is None:
        raise InvalidRequest(plan.source.value, hint="only a notebook's file can be pinned")
    digest = sha256(content).hexdigest()
    await asyncio.to_thread(_keep, o, schedule.id, digest, content)
    return replace(schedule, pinned_sha256=digest)


def _keep(o: Orchestration, schedule_id: str, digest: str, content: bytes) -> None:
    path = pinned_file(o, schedule_id, digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as failure:
        raise StoreUnavailable(str(path), hint=str(failure.strerror)) from failure
