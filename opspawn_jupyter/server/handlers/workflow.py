"""Workflows: checked before they run, looked at, explained, compared and done again."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Protocol, runtime_checkable

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.errors import UnknownKind
from opspawn_jupyter.model.workflow import WORKFLOW, WorkflowCheck, WorkflowRequest
from opspawn_jupyter.model.workflow_view import RerunRequest
from opspawn_jupyter.orchestrator.workflow.compare import compare
from opspawn_jupyter.orchestrator.workflow.explain import explain
from opspawn_jupyter.orchestrator.workflow.history import view
from opspawn_jupyter.orchestrator.workflow.rerun import rerun
from opspawn_jupyter.server.handlers.base import ApiHandler


@runtime_checkable
class ChecksWorkflows(Protocol):
    """A kind that knows what is wrong with a workflow."""

    def check(self, request: WorkflowRequest) -> WorkflowCheck:
        """All of it. Called in a thread."""


class WorkflowCheckHandler(ApiHandler):
    """A workflow before it runs."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Say what is wrong with it; nothing is stored."""
        kind: object = (await self.orchestration()).kinds.get(WORKFLOW)
        if not isinstance(kind, ChecksWorkflows):
            raise UnknownKind(WORKFLOW)
        request = await self.body(WorkflowRequest)
        await self.answer(await asyncio.to_thread(kind.check, request))


class WorkflowSchemaHandler(ApiHandler):
    """What a workflow's file may say."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it as JSON Schema."""
        await self.answer(await asyncio.to_thread(_schema))


class WorkflowHandler(ApiHandler):
    """A run of a workflow."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it with its steps."""
        await self.answer(await view(await self.orchestration(), reference))


class WorkflowExplainHandler(ApiHandler):
    """The step cache's word on a run."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Say why each step ran, or did not have to."""
        await self.answer(await explain(await self.orchestration(), reference))


class WorkflowRerunHandler(ApiHandler):
    """A run again, or what of it is worth it."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Submit it as a new task."""
        o = await self.orchestration()
        request = await self.body(RerunRequest)
        await self.answer(await rerun(o, reference, request, self.caller), HTTPStatus.CREATED)


class WorkflowCompareHandler(ApiHandler):
    """Two runs beside each other."""

    @web.authenticated
    @authorized
    async def get(self, reference: str, other: str) -> None:
        """Say what the second did differently."""
        await self.answer(await compare(await self.orchestration(), reference, other))


def _schema() -> object:
    # Imports pydantic's models of the file, which other requests do without.
    from opspawn_jupyter.kinds.workflow_file import json_schema

    return json_schema()
