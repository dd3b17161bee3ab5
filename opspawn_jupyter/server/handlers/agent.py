"""Runs of agents: on from their tapes; and what their loops ask for while they run."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.broker.keys import AGENT_PREFIX
from opspawn_jupyter.errors import NotAuthorized
from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.model.agent_door import ChildRequest
from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.agent import resume
from opspawn_jupyter.orchestrator.agent_child import child, delegate
from opspawn_jupyter.orchestrator.allowance import allowance
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.handlers.task_key import TaskKeyMixin


class AgentResumeHandler(ApiHandler):
    """A run that begins with the tape of another."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit it, as a new task."""
        o, request = await self.orchestration(), await self.body(ResumeRequest)
        await self.answer(await resume(o, reference, request, self.caller), HTTPStatus.CREATED)


class AgentHandler(TaskKeyMixin, ApiHandler):
    """What the loop of an agent asks for. Its own key opens this, and nothing else does."""

    key_prefix = AGENT_PREFIX

    async def agent(self, reference: str) -> Task:
        """The task whose loop asks. Raises ``NotAuthorized`` for everybody else."""
        if self.task_principal is None or self.task_principal.task_id != reference:
            raise NotAuthorized(hint="only the loop of this agent may ask that")
        return await find(await self.orchestration(), reference)


class AgentTasksHandler(AgentHandler):
    """Tasks that an agent submits."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit one, or give the one that was submitted for the same call."""
        agent, request = await self.agent(reference), await self.body(ChildRequest)
        await self.answer(await delegate(await self.orchestration(), agent, request))


class AgentTaskHandler(AgentHandler):
    """One of them."""

    @web.authenticated
    @authorized
    async def get(self, reference: str, child_id: str) -> None:
        """Give it as it stands."""
        agent = await self.agent(reference)
        await self.answer(await child(await self.orchestration(), agent, child_id))


class AgentAllowanceHandler(AgentHandler):
    """What is left of the budgets that agents share."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Say whether there is any."""
        agent, told = await self.agent(reference), self.query(Usage)
        await self.answer(await allowance(await self.orchestration(), agent, told))
