"""Remove the run directories of finished tasks that retention lets go; the tasks stay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from opspawn_jupyter.errors import InvalidRequest, OpspawnError, SettingInvalid
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import SHORT_LENGTH
from opspawn_jupyter.model.retention import (
    Limits,
    Pruned,
    PruneRequest,
    Remains,
    Removal,
    Retention,
    choose,
)
from opspawn_jupyter.model.states import FINAL, EventType
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.orchestrator import disposal
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

_PAGE = 500


async def prune(o: Orchestration, request: PruneRequest, by: str) -> Pruned:
    """What went, or with ``dry_run`` would go, oldest first.

    Raises ``InvalidRequest`` where neither the request nor the settings limit anything.
    """
    retention = _retention(o.settings, request)
    async with o.prune_lock:
        if not request.dry_run:
            await _finish_earlier(o)
        removals = await _choose(o, retention, request.labels)
        if not request.dry_run:
            removals = [await _remove(o, removal, by) for removal in removals]
    size_bytes = sum(removal.size_bytes for removal in removals if removal.problem is None)
    if removals and not request.dry_run:
        logger.info("run directories pruned count=%d bytes=%d", len(removals), size_bytes)
    return Pruned(dry_run=request.dry_run, removals=tuple(removals), size_bytes=size_bytes)


async def prune_task(o: Orchestration, task: Task, *, reason: str, by: str) -> Removal:
    """The run directory of one task that has ended, removed; the task stays."""
    remains = _remaining(task)
    async with o.prune_lock:
        (sized,) = await asyncio.to_thread(_measured, o, [remains])
        return await _remove(o, _removal(sized, reason), by)


def settings_retention(settings: Settings) -> Retention:
    """What the settings say. Raises ``SettingInvalid``; 0 means no limit there."""
    limits = Limits(
        days=settings.retention_days or None,
        max_tasks=settings.retention_max_tasks or None,
        max_bytes=settings.retention_max_bytes or None,
    )
    rules = {label: _limits(label, rule) for label, rule in settings.retention_by_label.items()}
    return Retention(limits=limits, by_label=rules)


def _limits(label: str, rule: object) -> Limits:  # as the configuration has it
    known = {"days", "max_tasks", "max_bytes"}
    if ":" not in label or not isinstance(rule, Mapping) or not known.issuperset(rule):
        hint = "retention_by_label maps name:value to any of days, max_tasks and max_bytes"
        raise SettingInvalid({label: rule}, hint=hint)
    try:
        given = {name: float(value) for name, value in rule.items()}
    except (TypeError, ValueError) as failure:
        raise SettingInvalid({label: rule}, hint="limits are numbers") from failure
    return Limits(
        days=given.get("days"),
        max_tasks=int(given["max_tasks"]) if "max_tasks" in given else None,
        max_bytes=int(given["max_bytes"]) if "max_bytes" in given else None,
    )


def _retention(settings: Settings, request: PruneRequest) -> Retention:
    for name in ("older_than_days", "keep", "max_bytes"):
        limit = getattr(request, name)
        if limit is not None and not limit >= 0:
            raise InvalidRequest(limit, hint=f"{name} must be 0 or more")
    if not request.limits.is_endless:
        return Retention(limits=request.limits)
    retention = settings_retention(settings)
    if retention.is_endless:
        raise InvalidRequest(
            hint="say what may go: an age, how many to keep, or how many bytes; the server's "
            "settings (retention_days and others) set no limit"
        )
    return retention


async def _choose(
    o: Orchestration, retention: Retention, labels: Mapping[str, str]
) -> list[Removal]:
    remains = [one async for one in _remains(o, labels)]
    if retention.counts_bytes:
        remains = await asyncio.to_thread(_measured, o, remains)
    chosen = choose(remains, retention, clock.now())
    if not retention.counts_bytes:
        sized = await asyncio.to_thread(_measured, o, [one for one, _ in chosen])
        chosen = tuple(zip(sized, (reason for _, reason in chosen), strict=True))
    return [_removal(one, reason) for one, reason in chosen]


async def _remains(o: Orchestration, labels: Mapping[str, str]) -> AsyncIterator[Remains]:
    query = TaskQuery(
        states=tuple(FINAL), labels=labels, pruned=False, sort="finished_at", limit=_PAGE
    )
    # What a workflow under way has made, its next steps read.
    living = {task.id for task in await o.store.unfinished()}
    while True:
        page = await o.store.tasks(query)
        for task in page.tasks:
            if task.parent_id in living:
                continue
            yield _remaining(task)
        if page.next_cursor is None:
            return
        query = replace(query, cursor=page.next_cursor)


def _remaining(task: Task) -> Remains:
    return Remains(
        task_id=task.id,
        name=task.name,
        finished_at=task.finished_at or task.created_at,
        run_directory=task.run_directory,
        labels=task.labels,
    )


def _measured(o: Orchestration, remains: list[Remains]) -> list[Remains]:
    root = o.settings.root_directory
    return [
        replace(one, size_bytes=disposal.size_bytes(root / one.run_directory)) for one in remains
    ]


def _removal(one: Remains, reason: str) -> Removal:
    return Removal(
        task_id=one.task_id,
        name=one.name,
        finished_at=one.finished_at,
        run_directory=one.run_directory,
        size_bytes=one.size_bytes,
        reason=reason,
    )


async def _remove(o: Orchestration, removal: Removal, by: str) -> Removal:
    directory = o.settings.root_directory / removal.run_directory
    try:
        files, aside = await asyncio.to_thread(_set_aside, directory, o.settings.runs_directory)
    except (disposal.NotOurs, OSError) as problem:
        logger.warning("run directory kept task_id=%s reason=%s", removal.task_id, problem)
        return replace(removal, problem=str(problem))
    data = {
        "reason": removal.reason,
        "by": by,
        "size_bytes": removal.size_bytes,
        "files": dict(files),
    }
    try:
        await o.record(Draft(task_id=removal.task_id, type=EventType.PRUNED, data=data))
    except OpspawnError:
        if aside is not None:
            await asyncio.to_thread(disposal.put_back, aside)
        raise
    if aside is not None:
        await asyncio.to_thread(_destroy, aside)
    return removal


def _set_aside(directory: Path, runs_directory: Path) -> tuple[Mapping[str, str], Path | None]:
    disposal.require_ours(directory, runs_directory)
    return disposal.digests(directory), disposal.set_aside(directory)


async def _finish_earlier(o: Orchestration) -> None:
    """What an earlier round set aside and could not finish: gone where that was recorded, else
    back in its place."""
    for aside in await asyncio.to_thread(disposal.left_aside, o.settings.runs_directory):
        found = await o.store.resolve(aside.name[-SHORT_LENGTH:])
        tasks = [await o.store.task(task_id) for task_id in found]
        is_recorded = any(
            task is not None and task.pruned_at is not None and _is_of(task.run_directory, aside)
            for task in tasks
        )
        if is_recorded:
            await asyncio.to_thread(_destroy, aside)
        else:
            await asyncio.to_thread(disposal.put_back, aside)


def _is_of(run_directory: str, aside: Path) -> bool:
    return Path(run_directory).name == disposal.original(aside).name


def _destroy(aside: Path) -> None:
    try:
        disposal.destroy(aside)
    except OSError as failure:
        logger.warning("pruned directory not deleted whole path=%s reason=%s", aside, failure)
