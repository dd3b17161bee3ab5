"""What is to be audited, as the submissions that are sent: files, folders, past runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from opspawn_jupyter.client.api import Api
from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.errors import InvalidRequest, NotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.audit import HEADLINES, AuditRequest, Headline
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery

#: Kind of the tasks that are audits.
AUDIT = "audit"
#: Folders that hold no notebooks of the user's.
_PASSED_OVER = frozenset({"opspawn_runs", "node_modules", "venv", "__pycache__"})
_MOST_STEPS = 500


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finished audit, in brief."""

    task: Task

    @property
    def headline(self) -> Headline:
        """What it came to; an audit that did not end well is inconclusive."""
        if self.task.state is not State.SUCCESS:
            return Headline.INCONCLUSIVE
        return Headline(self.task.outputs["headline"])

    def reaches(self, least: Headline) -> bool:
        """Whether it is at least so good."""
        return HEADLINES.index(self.headline) >= HEADLINES.index(least)


def audit_submission(
    notebook: str | PathLike[str],
    *,
    kernel: str | None = None,
    working_directory: str | PathLike[str] | None = None,
    inputs: Iterable[str] = (),
    reason: str = "",
    audited_task: str | None = None,
    name: str | None = None,
    timeout_seconds: float | None = None,
    cell_timeout_seconds: float | None = None,
) -> Submission:
    """The submission of one audit. ``timeout_seconds`` is for all of its runs together."""
    request = AuditRequest(
        notebook=sent_path(notebook),
        kernel=kernel,
        working_directory=None if working_directory is None else sent_path(working_directory),
        inputs=tuple(inputs),
        reason=reason,
        audited_task=audited_task,
    )
    policy = Policy(timeout_seconds=timeout_seconds, cell_timeout_seconds=cell_timeout_seconds)
    return Submission(kind=AUDIT, spec=wire.encode(request), name=name, policy=policy)


async def submissions(api: Api, targets: Iterable[str], like: Submission) -> list[Submission]:
    """One submission for each notebook that the targets name: a notebook's path, a folder's, or
    the id of a task or workflow that has run. Each takes policy and spec from ``like``.

    Raises ``NotFound`` where a target is none of these.
    """
    found: list[AuditRequest] = []
    for target in targets:
        local = await asyncio.to_thread(_local, target)
        found += local if local is not None else map(audit_of_run, await _runs(api, target))
    return [replace(like, spec={**like.spec, **_changes(one)}) for one in found]


def _changes(request: AuditRequest) -> dict[str, object]:
    """What a target says of its own."""
    said = wire.encode(request)
    return {name: value for name, value in said.items() if value not in (None, "", [])}


def _local(target: str) -> list[AuditRequest] | None:
    """The notebooks of a path; None where the target is no path."""
    path = Path(target).expanduser()
    if path.is_dir():
        notebooks = [AuditRequest(notebook=sent_path(one)) for one in _notebooks(path)]
        if not notebooks:
            raise NotFound(target, hint="the folder holds no notebooks")
        return notebooks
    if path.suffix == ".ipynb" or path.exists():
        return [AuditRequest(notebook=sent_path(target))]
    return None


def _notebooks(folder: Path) -> Iterator[Path]:
    """Every notebook below, in order; hidden folders and run directories are passed over."""
    for place, directories, names in os.walk(folder):
        directories[:] = sorted(
            one for one in directories if one not in _PASSED_OVER and not one.startswith(".")
        )
        yield from (Path(place, one) for one in sorted(names) if one.endswith(".ipynb"))


async def _runs(api: Api, reference: str) -> list[Task]:
    """The notebook runs that a task stands for: itself, or the steps of a workflow."""
    task = await api.task(reference)
    if task.kind == "notebook":
        return [task]
    page = await api.tasks(TaskQuery(parent=task.id, limit=_MOST_STEPS, sort="created_at"))
    steps = [one for one in page.tasks if one.kind == "notebook"]
    if not steps:
        raise InvalidRequest(
            reference, hint=f"a task of kind {task.kind} without notebook steps has no audit"
        )
    return steps


def audit_of_run(task: Task) -> AuditRequest:
    """The executed notebook, whose outputs are what the audit compares with."""
    if task.state is not State.SUCCESS:
        raise InvalidRequest(task.name, hint=f"only a run that succeeded is audited: {task.state}")
    return AuditRequest(
        notebook=f"{task.run_directory}/output.ipynb",
        kernel=str(task.spec["kernel"]),
        working_directory=str(task.spec["working_directory"]),
        audited_task=task.id,
    )
