"""The sealed evidence of an audit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.errors import InvalidRequest, TaskNotFinished, Unavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.ports import Store
from opspawn_jupyter.server import run_files
from opspawn_jupyter.server.handlers.task import TaskHandler

_PAGE = 1000


class TaskBundleHandler(TaskHandler):
    """A zip file that others can verify."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it, once the audit has ended."""
        task = await self.find_task(reference)
        if task.kind != "audit":
            raise InvalidRequest(task.kind, hint="only audits are sealed; audit the task first")
        if task.state is not State.SUCCESS:
            raise TaskNotFinished(hint=f"it is {task.state.value}")
        o = await self.orchestration()
        directory = await self.run_directory(task)
        events = await _events_up_to(o.store, task.seq)
        sealed = await asyncio.to_thread(
            _sealed, task, directory, events, o.settings.state_directory
        )
        self.set_attachment_header(f"{task.name}.zip")
        await self.finish(sealed, set_content_type="application/zip")


async def _events_up_to(store: Store, seq: int) -> list[Event]:
    """The whole history to the audit's end: the proofs are made over it."""
    found: list[Event] = []
    while len(found) < seq:
        page = await store.events(after=len(found), limit=_PAGE)
        if not page:
            break
        found += page
    return found[:seq]


def _sealed(
    task: Task, directory: RunDirectory, events: Sequence[Event], state_directory: Path
) -> bytes:
    try:
        # Not at the top: cryptography comes with an extra, and is needed here only.
        from opspawn_jupyter.audit import bundle, signing
    except ImportError as missing:
        hint = "install the extra: pip install 'opspawn-jupyter[audit]'"
        raise Unavailable(str(missing.name), hint=hint) from missing
    artifacts = {
        one.path: run_files.regular_file(directory.artifacts, one.path).read_bytes()
        for one in run_files.artifacts(directory)
    }
    journal = bundle.Journal(
        hashes=[event.hash for event in events],
        events=[event for event in events if event.task_id == task.id],
    )
    key = signing.key_in(state_directory)
    return bundle.sealed(task, artifacts, directory.input.read_bytes(), journal, key)
