"""What a schedule submits: its task, with the fields of the time or event that it is for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.schedule import (
    DUE_LABEL,
    SCHEDULE_ID_LABEL,
    SCHEDULE_LABEL,
    SOURCE_LABEL,
    Schedule,
    Source,
)
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_files import pinned_file
from opspawn_jupyter.scheduling.due import last_due
from opspawn_jupyter.scheduling.template import fields, filled


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What a task is to be submitted for."""

    due_at: datetime
    cause: Cause = Cause.DUE
    by: str = ""
    is_queued: bool = False
    #: Tells this occasion from others of the same cause; made up where it is empty.
    nonce: str = ""
    #: Further fields of the templates.
    fields: tuple[tuple[str, str], ...] = ()
    #: Parameters, as a person types them, that go before the plan's.
    parameters: tuple[tuple[str, str], ...] = ()


async def submission_for(o: Orchestration, schedule: Schedule, occasion: Occasion) -> Submission:
    """What is submitted for the occasion. Raises ``InvalidRequest`` for an unknown field."""
    plan = schedule.plan
    zone = ZoneInfo(plan.timing.timezone)
    due_at = occasion.due_at.astimezone(zone)
    before = last_due(plan.timing, occasion.due_at)
    start = before.astimezone(zone) if before is not None else due_at
    known = {**fields(plan.name, due_at, start), **dict(occasion.fields)}
    submission = filled(_with_parameters(plan.submission, dict(occasion.parameters)), known)
    if plan.source is Source.PINNED:
        submission = await asyncio.to_thread(_with_pinned, o, schedule, submission)
    return _with_policy(schedule, submission, occasion)


def _with_parameters(submission: Submission, given: dict[str, str]) -> Submission:
    if not given:
        return submission
    spec = submission.spec
    values = {
        name: value for name, value in spec.get("parameters", {}).items() if name not in given
    }
    texts = {**spec.get("parameters_text", {}), **given}
    return replace(submission, spec={**spec, "parameters": values, "parameters_text": texts})


def _with_policy(schedule: Schedule, submission: Submission, occasion: Occasion) -> Submission:
    plan, policy = schedule.plan, submission.policy
    if occasion.is_queued and policy.concurrency_key is None:
        policy = replace(policy, concurrency_key=f"schedule:{plan.name}")
    starts_at = occasion.due_at + timedelta(seconds=jitter_seconds(schedule, occasion.due_at))
    if starts_at > clock.now():
        policy = replace(policy, not_before=starts_at.astimezone(UTC))
    labels = {
        SCHEDULE_LABEL: plan.name,
        SCHEDULE_ID_LABEL: schedule.id,
        DUE_LABEL: occasion.due_at.astimezone(UTC).isoformat(timespec="seconds"),
        SOURCE_LABEL: plan.source.value,
    }
    return replace(
        submission,
        name=submission.name or plan.name,
        policy=policy,
        labels={**submission.labels, **labels},
    )


def jitter_seconds(schedule: Schedule, due_at: datetime) -> float:
    """By how much its task starts later: the same for the same due time, whoever asks."""
    digest = sha256(f"{schedule.id}:{due_at.timestamp()}".encode()).digest()
    return schedule.plan.jitter_seconds * int.from_bytes(digest[:4]) / 2**32


def _with_pinned(o: Orchestration, schedule: Schedule, submission: Submission) -> Submission:
    path = pinned_file(o, schedule.id, schedule.pinned_sha256 or "")
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as failure:
        hint = f"its pinned notebook is gone; edit the schedule to pin it again ({failure})"
        raise InvalidRequest(schedule.name, hint=hint) from failure
    notebook = str(submission.spec.get("notebook", ""))
    spec = {
        "working_directory": Path(notebook).parent.as_posix(),
        **{name: value for name, value in submission.spec.items() if value is not None},
        "notebook": None,
        "content": content,
    }
    return replace(submission, spec=spec)
