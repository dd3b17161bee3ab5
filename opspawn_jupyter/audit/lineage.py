"""What a run read and made, from its task and its run directory. Blocks: call it in a thread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.model.lineage import Dataset, Parent, RunLineage, files_in, job_name
from opspawn_jupyter.model.step_cache import CACHE_NAME
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import INPUTS_NAME, file_value

_REPORT = "report.json"


def run_lineage(task: Task, root: Path, parent: Parent | None = None) -> RunLineage:
    """The run as it stands; what its run directory had to say is missing once that is gone."""
    directory = root / task.run_directory
    parameters = task.spec.get("parameters") or task.spec.get("config") or {}
    return RunLineage(
        task_id=task.id,
        job=job_name(task, parent),
        kind=task.kind,
        state=task.state,
        step=task.step or "",
        inputs=_once(_inputs(task, root)),
        outputs=_once(_outputs(task, directory)),
        parameters=parameters,
        values={name: one for name, one in task.outputs.items() if file_value(one) is None},
    )


def _inputs(task: Task, root: Path) -> Iterator[Dataset]:
    directory = root / task.run_directory
    if task.kind == "audit":
        yield Dataset(
            path=(root / task.spec["notebook"]).as_posix(), sha256=task.spec["source_sha256"]
        )
        project = root / task.spec["project"]
        for one in (_read(directory / "artifacts" / _REPORT) or {}).get("inputs", []):
            yield Dataset(path=(project / one["path"]).as_posix(), sha256=one["sha256"])
    elif task.spec.get("notebook"):
        digest = task.spec.get("source_sha256", "")
        yield Dataset(path=(root / task.spec["notebook"]).as_posix(), sha256=digest)
    yield from _declared(directory, root)
    for upstream in (_read(directory / INPUTS_NAME) or {}).get("tasks", {}).values():
        yield from _of_upstream(upstream, root)


def _declared(directory: Path, root: Path) -> Iterator[Dataset]:
    """The files that a step says it reads, with the digests that its cache took of them."""
    record = _read(directory / CACHE_NAME) or {}
    for path, digest in record.get("parts", {}).get("inputs", {}).items():
        yield Dataset(path=(root / path).as_posix(), sha256=digest)


def _of_upstream(upstream: Mapping[str, Any], root: Path) -> Iterator[Dataset]:
    """The files of an ``Upstream``, as ``inputs.json`` has it."""
    items = upstream.get("items") or ()
    for item in items:
        yield from _of_upstream(item, root)
    if upstream.get("run_directory") and not items:
        for one in files_in(upstream["outputs"]):
            path = root / upstream["run_directory"] / one.path
            yield Dataset(path=path.as_posix(), sha256=one.sha256)


def _outputs(task: Task, directory: Path) -> Iterator[Dataset]:
    for one in files_in(task.outputs):
        yield Dataset(path=(directory / one.path).as_posix(), sha256=one.sha256)
    artifacts = directory / "artifacts"
    for path in sorted(artifacts.rglob("*")):
        if path.is_file():
            yield Dataset(path=path.as_posix())


def _once(found: Iterator[Dataset]) -> tuple[Dataset, ...]:
    """Each path once; what was said of it first holds."""
    by_path: dict[str, Dataset] = {}
    for one in found:
        by_path.setdefault(one.path, one)
    return tuple(by_path.values())


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
