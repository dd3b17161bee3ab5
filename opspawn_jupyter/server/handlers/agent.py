"""Runs of agents: on from their tapes."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.orchestrator.agent import resume
from opspawn_jupyter.server.handlers.base import ApiHandler


class AgentResumeHandler(ApiHandler):
    """A run that begins with the tape of another."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit it, as a new task."""
        o, request = await self.orchestration(), await self.body(ResumeRequest)
        await self.answer(await resume(o, reference, request, self.caller), HTTPStatus.CREATED)
