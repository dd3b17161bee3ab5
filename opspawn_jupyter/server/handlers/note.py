"""Notes: written and looked for by agents with their loop's key, and by people."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.broker.keys import AGENT_PREFIX
from opspawn_jupyter.errors import NotAuthorized
from opspawn_jupyter.model.note import NoteRequest, RecallRequest
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.note import forget, recall, remember
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.handlers.task_key import TaskKeyMixin


class NoteHandler(TaskKeyMixin, ApiHandler):
    """What the routes share: an agent sees the collection that its task names, and no other."""

    key_prefix = AGENT_PREFIX

    @property
    def agent_id(self) -> str:
        """The task that asks; empty for a person."""
        return self.task_principal.task_id or "" if self.task_principal else ""

    async def scope(self, asked: str | None) -> str | None:
        """The collection to use."""
        if not self.agent_id:
            return asked
        named = (await find(await self.orchestration(), self.agent_id)).spec.get("notes")
        if named is None:
            raise NotAuthorized(hint="the agent's task names no notes")
        return str(named)


class NotesHandler(NoteHandler):
    """Notes."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Write one down."""
        o, request = await self.orchestration(), await self.body(NoteRequest)
        request = replace(request, scope=await self.scope(request.scope))
        note = await remember(o, request, self.caller, self.agent_id)
        await self.answer(note, HTTPStatus.CREATED)


class RecallHandler(NoteHandler):
    """Finding them again."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Give those that fit. A POST, because what is asked may be long."""
        o, request = await self.orchestration(), await self.body(RecallRequest)
        await self.answer(await recall(o, replace(request, scope=await self.scope(request.scope))))


class NoteForgetHandler(ApiHandler):
    """One note."""

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Forget it."""
        await self.answer(await forget(await self.orchestration(), reference, self.caller))
