"""Tasks: submit, list, look at, cancel, and what they leave."""

from __future__ import annotations

import asyncio
import mimetypes
from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter import timeline
from opspawn_jupyter.errors import (
    ArtifactNotFound,
    FilesPruned,
    InvalidRequest,
    NotAuthorized,
    TaskNotFinished,
)
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.retry import retry
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.server import run_files
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.handlers.task_key import TaskKeyMixin
from opspawn_jupyter.server.schemas import (
    ArtifactList,
    EventList,
    EventQuery,
    LogQuery,
    NotebookQuery,
    TaskListQuery,
    TaskResult,
)


class TasksHandler(ApiHandler):
    """All tasks."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Accept a task."""
        o = await self.orchestration()
        submission = await self.body(Submission)
        timeline.reach("server.asked")
        task, is_new = await submit(o, submission, self.caller)
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        # A new task has no cells yet, and little that was not in the submission.
        await self.answer(task, status, size_bytes=len(self.request.body) if is_new else None)

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give one page of them."""
        o = await self.orchestration()
        await self.answer(await o.store.tasks(self.query(TaskListQuery).record()))


class TaskHandler(TaskKeyMixin, ApiHandler):
    """One task, named by its id or the end of it. A task's own key shows that task alone."""

    async def find_task(self, reference: str) -> Task:
        """The task meant."""
        task = await find(await self.orchestration(), reference)
        if self.task_principal is not None and self.task_principal.task_id != task.id:
            raise NotAuthorized(hint="a task's key shows that task alone")
        return task

    async def run_directory(self, task: Task) -> RunDirectory:
        """Where its files lie. Raises ``FilesPruned`` where they were removed."""
        if task.pruned_at is not None:
            raise FilesPruned(hint=f"that was on {task.pruned_at:%Y-%m-%d at %H:%M} UTC")
        root = (await self.orchestration()).settings.root_directory
        return await asyncio.to_thread(run_files.run_directory, root, task)

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it as it stands."""
        await self.answer(await self.find_task(reference))


class TaskCancelHandler(ApiHandler):
    """The end of a task, before its time."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Ask for it."""
        o = await self.orchestration()
        await self.answer(await cancel(o, reference, self.caller), HTTPStatus.ACCEPTED)


class TaskRetryHandler(ApiHandler):
    """Another try of a task that ended without success."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit it, as a new task."""
        o = await self.orchestration()
        await self.answer(await retry(o, reference, self.caller), HTTPStatus.CREATED)


class TaskResultHandler(TaskHandler):
    """What a task came to."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it, once the task has ended."""
        task = await self.find_task(reference)
        if not task.state.is_final:
            raise TaskNotFinished(hint=f"it is {task.state.value}")
        await self.answer(TaskResult(state=task.state, outputs=task.outputs, error=task.error))


class TaskLogsHandler(TaskHandler):
    """What a run wrote for people."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give part of it."""
        task, query = await self.find_task(reference), self.query(LogQuery)
        directory = await self.run_directory(task)
        await self.answer(
            await asyncio.to_thread(
                run_files.log_slice, directory, query, has_ended=task.state.is_final
            )
        )


class TaskEventsHandler(TaskHandler):
    """The history of a task."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give part of it."""
        task, query = await self.find_task(reference), self.query(EventQuery)
        store = (await self.orchestration()).store
        events = await store.events(after=query.after, limit=query.limit, task_id=task.id)
        await self.answer(EventList(events=events))


class TaskArtifactsHandler(TaskHandler):
    """The files that a task left."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Name them."""
        directory = await self.run_directory(await self.find_task(reference))
        found = await asyncio.to_thread(run_files.artifacts, directory)
        await self.answer(ArtifactList(artifacts=found))


class TaskArtifactHandler(TaskHandler):
    """One file that a task left."""

    @web.authenticated
    @authorized
    async def get(self, reference: str, path: str) -> None:
        """Give it for saving, never for display."""
        directory = await self.run_directory(await self.find_task(reference))
        file = await asyncio.to_thread(run_files.regular_file, directory.artifacts, path)
        self.set_attachment_header(file.name)
        content_type, encoding = mimetypes.guess_type(file.name)
        plain = content_type if content_type and not encoding else "application/octet-stream"
        await self.send_file(file, plain)


class TaskNotebookHandler(TaskHandler):
    """The executed notebook."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it as a notebook or as a web page."""
        task, query = await self.find_task(reference), self.query(NotebookQuery)
        if query.format not in ("ipynb", "html"):
            raise InvalidRequest(query.format, hint="format is ipynb or html")
        directory = await self.run_directory(task)
        try:
            notebook = await asyncio.to_thread(
                run_files.regular_file, directory.path, directory.output.name
            )
        except ArtifactNotFound as failure:
            hint = f"there is no executed notebook yet; the task is {task.state.value}"
            raise ArtifactNotFound(hint=hint) from failure
        if query.format == "html":
            async with self.service.html_export.page(notebook) as page:
                await self.send_file(page, "text/html; charset=utf-8")
        else:
            self.set_attachment_header(f"{task.name}.ipynb")
            await self.send_file(notebook, "application/x-ipynb+json")
