"""MCP's Tasks extension (``io.modelcontextprotocol/tasks``, SEP-2663) over our own tasks.

A tool of ours that starts a task answers a client that declares the extension at once with the
task; the client looks with ``tasks/get`` and ends it with ``tasks/cancel``. Other clients get the
same value as a plain result, and use the tools that look and cancel.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import Server
from pydantic import Field

from opspawn_jupyter.broker.answers import text_result, value_result
from opspawn_jupyter.broker.endpoint import Endpoint, caller
from opspawn_jupyter.broker.own_tool import OwnTask
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.tool import Principal

EXTENSION = "io.modelcontextprotocol/tasks"
_POLL_MILLISECONDS = 1_000
_BASE64 = "=?base64?"


class TaskParams(types.RequestParams):
    """Names a task."""

    task_id: str = Field(alias="taskId")


class UpdateParams(TaskParams):
    """Answers to what a task asked."""

    input_responses: dict[str, Any] = Field(default_factory=dict, alias="inputResponses")


class OwnTasks(Protocol):
    """Our tasks, as the extension needs them. Each raises one of our errors."""

    async def get(self, principal: Principal, task_id: str) -> OwnTask:
        """The task as it stands."""

    async def cancel(self, principal: Principal, task_id: str) -> None:
        """Ask for its end."""


class TasksExtension:
    """Adds itself to the endpoint's server."""

    def __init__(self, endpoint: Endpoint, tasks: OwnTasks) -> None:
        self._endpoint = endpoint
        self._tasks = tasks
        server: Server[Any] = endpoint.server
        server.extensions[EXTENSION] = {}
        entry = server.get_request_handler("tools/call")
        if entry is None:
            msg = "the endpoint answers no tools/call"
            raise RuntimeError(msg)
        self._plain: Callable[[Any, Any], Awaitable[Any]] = entry.handler
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call)
        server.add_request_handler("tasks/get", TaskParams, self._get)
        server.add_request_handler("tasks/update", UpdateParams, self._update)
        server.add_request_handler("tasks/cancel", TaskParams, self._cancel)

    async def _call(self, ctx: Any, params: types.CallToolRequestParams) -> Any:
        principal, only = caller(ctx)
        own = self._endpoint.own_tool(params.name, principal) if only is None else None
        if own is None or not own.starts_task or not _is_declared(ctx):
            return await self._plain(ctx, params)
        try:
            value = await self._endpoint.call_own(own, principal, params.arguments or {})
            task = await self._tasks.get(principal, value["id"])
        except OpspawnError as problem:
            return text_result(problem.message, is_error=True)
        return {**_wire(task), "resultType": "task"}

    async def _get(self, ctx: Any, params: TaskParams) -> Any:
        task = await self._task(ctx, params)
        answer = {**_wire(task), "resultType": "complete"}
        if task.status == "completed":
            result = value_result(task.value, is_error=task.is_error)
            dumped = result.model_dump(by_alias=True, mode="json", exclude_none=True)
            dumped.pop("resultType", None)
            answer["result"] = dumped
        return answer

    async def _update(self, ctx: Any, params: UpdateParams) -> Any:
        # What our tasks ask is put to people by other ways; a model may not answer in their place.
        await self._task(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: Any, params: TaskParams) -> Any:
        task = await self._task(ctx, params)
        if task.status == "working":
            await self._tasks.cancel(caller(ctx)[0], params.task_id)
        return {"resultType": "complete"}

    async def _task(self, ctx: Any, params: TaskParams) -> OwnTask:
        if not _is_declared(ctx):
            raise MCPError(
                code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                message="Missing required client capability",
                data={"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
            )
        _require_header(ctx, params.task_id)
        try:
            return await self._tasks.get(caller(ctx)[0], params.task_id)
        except OpspawnError as problem:
            raise MCPError(code=types.INVALID_PARAMS, message="Unknown taskId") from problem


def _is_declared(ctx: Any) -> bool:
    capabilities = ctx.session.client_capabilities
    declared = (capabilities.extensions if capabilities else None) or {}
    return EXTENSION in declared


def _require_header(ctx: Any, task_id: str) -> None:
    """The header ``Mcp-Name`` must mirror the task's id (SEP-2243)."""
    said = ctx.request.headers.get("mcp-name")
    if said is not None and said.startswith(_BASE64):
        said = base64.b64decode(said[len(_BASE64) : -2]).decode()
    if said != task_id:
        raise MCPError(code=types.HEADER_MISMATCH, message="Mcp-Name header does not match taskId")


def _wire(task: OwnTask) -> dict[str, Any]:
    return {
        "taskId": task.id,
        "status": task.status,
        "statusMessage": task.message,
        "createdAt": task.created_at,
        "lastUpdatedAt": task.updated_at,
        "ttlMs": None,
        "pollIntervalMs": _POLL_MILLISECONDS,
    }
