"""Files that start schedules: looked for every few seconds, wherever they lie.

Polling, because inotify does not see what other machines write to a shared disk. A file counts
once it has stayed the same between two looks, so that nobody reads one that is still being
written. What was seen lies in a small file of each schedule: files that come while no server runs
are found by the next.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import OpspawnError, ScheduleNotFound
from opspawn_jupyter.files import write_json
from opspawn_jupyter.model.firing import Cause
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.schedule_outcome import trigger
from opspawn_jupyter.orchestrator.schedule_record import find_known

logger = logging.getLogger(__name__)

_ROUND_SECONDS = 3.0

#: Modification time in nanoseconds and size, by path relative to the root.
Signatures = Mapping[str, tuple[int, int]]


async def watch_files(o: Orchestration) -> None:
    """For as long as the server runs."""
    before: dict[str, Signatures] = {}
    while True:
        for schedule_id in o.triggers.watching():
            try:
                schedule = (await find_known(o, schedule_id)).schedule
                before[schedule_id] = await look(o, schedule, before.get(schedule_id, {}))
            except ScheduleNotFound:
                o.triggers.drop(schedule_id)
            except (OpspawnError, OSError) as problem:
                logger.warning("files not watched schedule_id=%s reason=%s", schedule_id, problem)
        await asyncio.sleep(_ROUND_SECONDS)


async def look(o: Orchestration, schedule: Schedule, before: Signatures) -> Signatures:
    """What lies there now. Starts a task for each file that is new or changed, and was the same at
    the look before."""
    root, state = o.settings.root_directory, o.settings.state_directory
    memory = state / "schedules" / schedule.id / "files.json"
    now, seen = await asyncio.to_thread(_found, root, state, schedule, memory)
    ready = {
        path: signature
        for path, signature in now.items()
        if seen.get(path) != signature and before.get(path) == signature
    }
    for path, (changed, size) in sorted(ready.items()):
        nonce = f"{path}:{changed}:{size}"
        await trigger(o, schedule.id, Cause.FILE, nonce=nonce, fields=(("trigger_path", path),))
        seen = {**seen, path: (changed, size)}
        await asyncio.to_thread(_remember, memory, seen)
    return now


def _found(
    root: Path, state: Path, schedule: Schedule, memory: Path
) -> tuple[Signatures, Signatures]:
    """What is there, and what was dealt with before. What is older than the schedule was there
    when it was made, and is no news."""
    now: dict[str, tuple[int, int]] = {}
    for pattern in schedule.plan.files:
        for path in root.glob(pattern):
            if path.is_file() and not path.is_relative_to(state):
                facts = path.stat()
                now[path.relative_to(root).as_posix()] = (facts.st_mtime_ns, facts.st_size)
    seen = _remembered(memory)
    if seen is None:
        made_ns = int(schedule.created_at.timestamp() * 1e9)
        seen = {path: facts for path, facts in now.items() if facts[0] <= made_ns}
        _remember(memory, seen)
    return now, seen


def _remembered(memory: Path) -> dict[str, tuple[int, int]] | None:
    try:
        kept: dict[str, Any] = json.loads(memory.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        logger.exception("memory of files cannot be read path=%s", memory)
        return None
    return {path: (facts[0], facts[1]) for path, facts in kept.items()}


def _remember(memory: Path, seen: Signatures) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_json(memory, {path: list(facts) for path, facts in seen.items()})
