"""Lineage: which files a run read and made, and the events that tell others so (OpenLineage)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import FileValue, file_value
from opspawn_jupyter.version import __version__

PRODUCER = f"urn:opspawn-jupyter:{__version__}"
_SPEC = "https://openlineage.io/spec"
_RUN_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_TERMINAL = {State.SUCCESS: "COMPLETE", State.CANCELLED: "ABORT"}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A file that a run read or made."""

    #: Absolute path, with forward slashes.
    path: str
    #: Of its content then; empty where it is not known.
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class RunLineage:
    """One run, with what went in and what came out."""

    task_id: str
    #: Name of the job that it is a run of.
    job: str
    kind: str
    state: State
    #: Which step of its workflow it is; empty for the workflow itself.
    step: str = ""
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    #: Values that are no files: given to it, and given by it.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A task, and the tasks that are parts of it."""

    runs: tuple[RunLineage, ...]


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The workflow that a run is a part of."""

    task_id: str
    job: str


def job_name(task: Task, parent: Parent | None) -> str:
    """The same for every run of the same thing; ``workflow.step`` for a step."""
    return f"{parent.job}.{task.step}" if parent and task.step else task.name


def files_in(value: Any) -> Iterator[FileValue]:
    """Every file that an output, or any part of it, stands for."""
    found = file_value(value)
    if found is not None:
        yield found
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from files_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from files_in(one)


def started(run: RunLineage, at: datetime, namespace: str, parent: Parent | None) -> dict[str, Any]:
    """The event that begins a run."""
    return _event("START", run, at, namespace, parent)


def ended(
    run: RunLineage, at: datetime, namespace: str, parent: Parent | None, problem: str = ""
) -> dict[str, Any]:
    """The one event that ends a run."""
    event = _event(_TERMINAL.get(run.state, "FAIL"), run, at, namespace, parent)
    if problem:
        facet = {"message": problem, "programmingLanguage": "Python"}
        event["run"]["facets"]["errorMessage"] = _facet("1-0-1", "ErrorMessageRunFacet", facet)
    return event


def _event(
    kind: str, run: RunLineage, at: datetime, namespace: str, parent: Parent | None
) -> dict[str, Any]:
    job_type = {"processingType": "BATCH", "integration": "OPSPAWN", "jobType": run.kind.upper()}
    facets = {}
    if parent is not None:
        above = {
            "run": {"runId": parent.task_id},
            "job": {"namespace": namespace, "name": parent.job},
        }
        facets["parent"] = _facet("1-2-0", "ParentRunFacet", above)
    return {
        "eventType": kind,
        "eventTime": at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": _RUN_EVENT,
        "run": {"runId": run.task_id, "facets": facets},
        "job": {
            "namespace": namespace,
            "name": run.job,
            "facets": {"jobType": _facet("2-0-4", "JobTypeJobFacet", job_type)},
        },
        "inputs": [_dataset(one) for one in run.inputs],
        "outputs": [_dataset(one) for one in run.outputs],
    }


def _dataset(one: Dataset) -> dict[str, Any]:
    version = {"datasetVersion": one.sha256}
    facet = _facet("1-0-1", "DatasetVersionDatasetFacet", version)
    return {
        "namespace": "file",
        "name": one.path,
        "facets": {"version": facet} if one.sha256 else {},
    }


def _facet(version: str, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    schema = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": schema, **said}
