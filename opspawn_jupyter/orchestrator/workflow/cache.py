"""The step cache: whether an earlier run did exactly this, and if not, what is different.

A step is known by five parts: its source, its parameters, what came from upstream, the files that
it reads, and the environment. Together they are its key. An index of small files beside the
journal says which task had which key, and what the last key of each step was, so that a miss can
be explained. The index may be lost: then steps run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.files import write_json
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.step_cache import CACHE_NAME, CacheRecord, Parts, changes
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import Step, file_value
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import fingerprint, reuse
from opspawn_jupyter.orchestrator.workflow.progress import Progress
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the cache says of a step."""

    record: CacheRecord
    #: The task whose result can be taken over; None where the step has to run.
    task_id: str | None = None
    #: What is to be pinned with the step's task.
    files: Mapping[str, bytes] = field(default_factory=dict)


async def look(
    o: Orchestration, progress: Progress, step: Step, prepared: Prepared
) -> Finding | None:
    """What the cache has for the step; None where the step does not use it."""
    if not step.cache:
        return None
    parts = await in_thread(_parts, o, progress, step, prepared)
    key = _digest(wire.encode(parts))
    owner = _owner(progress, step)
    entry = await in_thread(_read, _key_path(o.settings, key))
    task = await usable(o, str(entry["task_id"])) if entry else None
    last = await in_thread(_read, _last_path(o.settings, owner))
    spec = progress.task.spec
    forced = bool(spec.get("force")) or step.id in spec.get("forced_steps", ())
    record = CacheRecord(
        key=key,
        parts=parts,
        owner=owner,
        verdict="forced" if forced else "hit" if task else "miss",
        compared_with=(task.id if task else last.get("task_id") if last else None),
        changes=() if task else changes(_parts_of(last), parts),
    )
    content = wire.to_json(record).encode() + b"\n"
    hit = None if forced or task is None else task.id
    return Finding(record=record, task_id=hit, files={CACHE_NAME: content})


async def usable(o: Orchestration, task_id: str) -> Task | None:
    """The task, where its result can be taken over: its files are as it left them."""
    task = await o.store.task(task_id)
    if task is None or task.state is not State.SUCCESS or task.pruned_at is not None:
        return None
    return task if await in_thread(reuse.is_whole, o.settings, task) else None


async def keep(o: Orchestration, task: Task) -> None:
    """Let later runs find the result of a step that has succeeded."""
    if task.state is not State.SUCCESS or CACHE_NAME not in task.pinned:
        return
    try:
        await in_thread(_keep, o.settings, task)
    except (OSError, ValueError, KeyError):  # the next run does without
        logger.exception("step cannot be cached task_id=%s", task.id)


def _keep(settings: Settings, task: Task) -> None:
    text = (settings.root_directory / task.run_directory / CACHE_NAME).read_text()
    record = json.loads(text)
    producer = task.reused_from or task.id
    entry = {"task_id": producer, "parts": record["parts"], "at": clock.now().isoformat()}
    for path in (_key_path(settings, record["key"]), _last_path(settings, record["owner"])):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, entry)


def _parts(o: Orchestration, progress: Progress, step: Step, prepared: Prepared) -> Parts:
    root = o.settings.root_directory
    directory = root / progress.task.spec.get("directory", ".")
    base = {name: progress.steps[name].upstream for name in step.depends_on}
    return Parts(
        source=fingerprint.source(o.kinds.get(step.kind), step.kind, prepared),
        parameters=_digest(_without_files(fingerprint.parameters(prepared), root)),
        upstream={name: _digest(fingerprint.outputs(one)) for name, one in base.items()},
        inputs=fingerprint.files(step.inputs, prepared, directory),
        environment=fingerprint.environment(prepared),
    )


def _without_files(value: Any, root: Path) -> Any:
    """Paths into run directories differ each time though the file is the same: what it holds is
    told by the upstream's digest."""
    if isinstance(value, Mapping):
        if (file := file_value(value)) is not None:
            return file.sha256
        return {key: _without_files(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_files(item, root) for item in value]
    if isinstance(value, str) and value.startswith(f"{root}/"):
        return _relative(value, root)
    return value


def _relative(path: str, root: Path) -> str:
    """Without the run directory's own name, which a path from upstream has."""
    relative = Path(path).relative_to(root)
    run = next((p for p in relative.parents if (root / p / "task.json").is_file()), None)
    return relative.relative_to(run).as_posix() if run else relative.as_posix()


def _owner(progress: Progress, step: Step) -> str:
    """Which step it is, from one run to the next."""
    return f"{progress.task.spec.get('path') or progress.workflow.name}#{step.id}"


def _parts_of(entry: Mapping[str, Any] | None) -> Parts | None:
    return wire.decode(Parts, entry["parts"]) if entry else None


def _key_path(settings: Settings, key: str) -> Path:
    return settings.state_directory / "steps" / key[:2] / f"{key}.json"


def _last_path(settings: Settings, owner: str) -> Path:
    name = hashlib.sha256(owner.encode()).hexdigest()
    return settings.state_directory / "steps" / "last" / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_bytes())
        return entry if {"task_id", "parts"} <= entry.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
