"""Jobs of jupyter-scheduler's contract as they stand, with the files that are there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model.job import DescribeJob, JobFile, JobList, JobQuery, JobStatus
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.schedule import SCHEDULE_ID_LABEL
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.job import (
    STATUSES,
    jobs,
    milliseconds,
    ordered,
    paged,
    texts,
    told_of,
)
from opspawn_jupyter.server.html_export import HtmlExport

_LABELS = {"ipynb": "Notebook", "html": "HTML"}
_LONGEST_MESSAGE = 1_000


async def job_list(o: Orchestration, query: JobQuery) -> JobList:
    """Those that fit the query."""
    found = await jobs(o)
    return await asyncio.to_thread(_listed, o.settings.root_directory, found, query)


def _listed(root: Path, found: list[Task], query: JobQuery) -> JobList:
    described = [describe(root, task) for task in found]
    fitting = [one for one in described if _fits(one, query)]
    page, token = paged(ordered(fitting, query), query)
    return JobList(jobs=tuple(page), total_count=len(fitting), next_token=token)


def _fits(job: DescribeJob, query: JobQuery) -> bool:
    return (
        query.job_definition_id in (None, job.job_definition_id)
        and query.status in (None, job.status)
        and job.name.startswith(query.name or "")
        and set(query.tags) <= set(job.tags or ())
        and (query.start_time is None or (job.start_time or 0) >= query.start_time)
    )


def status_of(task: Task) -> JobStatus:
    """Where it stands, in the contract's words."""
    if task.cancel_requested and not task.state.is_final:
        return JobStatus.STOPPING
    return STATUSES[task.state]


def describe(root: Path, task: Task) -> DescribeJob:
    """The task in the contract's words. Looks at its files, so it is called in a thread."""
    told = told_of(task.labels)
    formats = tuple(told.get("output_formats") or ("ipynb",))
    files = _files(root, task, formats)
    notebook = task.spec.get("notebook")
    latest = task.finished_at or task.started_at or task.created_at
    return DescribeJob(
        job_id=task.id,
        name=told.get("name") or task.name,
        input_filename=Path(notebook).name if notebook else f"{task.name}.ipynb",
        runtime_environment_name=str(task.spec.get("kernel", "")),
        output_formats=formats,
        idempotency_token=task.idempotency_key,
        job_definition_id=task.labels.get(SCHEDULE_ID_LABEL),
        parameters=texts(task.spec.get("parameters", {})),
        tags=tuple(told["tags"]) if told.get("tags") else None,
        job_files=files,
        url=f"/jobs/{task.id}",
        create_time=milliseconds(task.created_at),
        update_time=milliseconds(latest),
        start_time=milliseconds(task.started_at) if task.started_at else None,
        end_time=milliseconds(task.finished_at) if task.finished_at else None,
        status=status_of(task),
        status_message=_message(task),
        downloaded=task.state.is_final and all(file.file_path for file in files),
        package_input_folder=told.get("package_input_folder"),
    )


def _message(task: Task) -> str | None:
    if task.error is None:
        return None
    return f"{task.error.name}: {task.error.message}"[:_LONGEST_MESSAGE]


def _files(root: Path, task: Task, formats: tuple[str, ...]) -> tuple[JobFile, ...]:
    directory = RunDirectory(root / task.run_directory)
    known = {name: directory.path / f"output.{name}" for name in formats if name in _LABELS}
    if not task.state.is_final:
        known.pop("ipynb", None)  # it is there, and will be another one
    named = [(_LABELS[name], name, path) for name, path in known.items()]
    named.append(("Input", "input", directory.input))
    return tuple(
        JobFile(
            display_name=label,
            file_format=name,
            file_path=path.relative_to(root).as_posix() if path.exists() else None,
        )
        for label, name, path in named
    )


async def make_files(o: Orchestration, export: HtmlExport, task: Task) -> None:
    """Have the forms that were asked for, as far as they can be had now."""
    formats = told_of(task.labels).get("output_formats") or ()
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    page = directory.path / "output.html"
    if "html" not in formats or not await asyncio.to_thread(directory.output.exists):
        return
    if await asyncio.to_thread(page.exists):
        return
    async with export.page(directory.output) as made:
        content = await asyncio.to_thread(made.read_bytes)
    await asyncio.to_thread(write_atomic, page, content)
