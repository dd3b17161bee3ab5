"""Requests of MCP clients in the middle of which a server wants to know something.

A client of the older era is asked while it waits for its answer. One of the modern era cannot be:
it is answered with what is asked, and asks again with what it found. Meanwhile the server's side of
the request goes on waiting here, under a name that the client is given as the request's state and
that no other caller can use.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from opspawn_jupyter.broker.connected import said_level
from opspawn_jupyter.broker.inquiring import dumped
from opspawn_jupyter.broker.ports import Host, Inquiry, NotAnswered
from opspawn_jupyter.model.tool import Principal

Work = Callable[[Host], Awaitable[Any]]

#: A client that does not come back within this has given up.
_PATIENCE_SECONDS = 600.0
_MOST_OPEN = 200
_RESULTS: Mapping[str, Any] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


class Conversations:
    """Those of the modern era that wait for their client."""

    def __init__(self) -> None:
        self._open: dict[str, _Talk] = {}

    async def hold(self, ctx: Any, params: Any, principal: Principal, work: Work) -> Any:
        """What the work gives, or what its caller is asked first."""
        host = host_of(ctx, principal)
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS or not host.capabilities:
            return await work(host)
        self._give_up_old()
        about = (principal, ctx.method, getattr(params, "name", None) or str(params.uri))
        talk = self._resumed(params, about)
        if talk is None:
            talk = self._begun(host, work, about)
            talk.given.update(params.input_responses or {})
        talk.host = host
        return await self._heard(talk)

    def _begun(self, host: Host, work: Work, about: object) -> _Talk:
        if len(self._open) >= _MOST_OPEN:
            raise MCPError(code=types.INTERNAL_ERROR, message="too many requests wait for answers")
        return _Talk(host, work, about)

    def _resumed(self, params: Any, about: object) -> _Talk | None:
        state = params.request_state
        if state is None:
            return None
        talk = self._open.get(state)
        if talk is None or talk.about != about:
            raise MCPError(code=types.INVALID_PARAMS, message="Unknown or expired requestState")
        del self._open[state]
        talk.answer(params.input_responses or {})
        return talk

    async def _heard(self, talk: _Talk) -> Any:
        try:
            asked = await talk.next()
        except asyncio.CancelledError:
            talk.end()
            raise
        if asked is None:
            return talk.work.result()
        state = secrets.token_urlsafe(24)
        self._open[state] = talk
        return types.InputRequiredResult.model_validate(
            {"inputRequests": asked, "requestState": state}
        )

    def _give_up_old(self) -> None:
        oldest = time.monotonic() - _PATIENCE_SECONDS
        for state in [state for state, talk in self._open.items() if talk.asked_at < oldest]:
            self._open.pop(state).end()


class _Talk:
    """One request's work, and what it waits for."""

    def __init__(self, host: Host, work: Work, about: object) -> None:
        self.host = host
        self.about = about
        self.asked_at = time.monotonic()
        #: What the client answered before it was asked.
        self.given: dict[str, Any] = {}
        self._asked: dict[str, tuple[Inquiry, asyncio.Future[Mapping[str, Any]]]] = {}
        self._is_asked = asyncio.Event()
        ours = replace(host, ask=self._ask, log=self._log, progress=self._tell(host))
        self.work = asyncio.ensure_future(work(ours))

    async def next(self) -> Mapping[str, Any] | None:
        """What is asked next; None where the work is done."""
        asking = asyncio.ensure_future(self._is_asked.wait())
        try:
            await asyncio.wait({self.work, asking}, return_when=asyncio.FIRST_COMPLETED)
            if self.work.done():
                return None
            await asyncio.sleep(0)  # what is asked at once goes in one answer
        finally:
            asking.cancel()
        self.asked_at = time.monotonic()
        return {
            key: {"method": inquiry.method, "params": dict(inquiry.params)}
            for key, (inquiry, _) in self._asked.items()
        }

    def answer(self, responses: Mapping[str, Any]) -> None:
        """What the client found. What is missing is asked once more."""
        for key in [key for key in self._asked if key in responses]:
            _, answer = self._asked.pop(key)
            if not answer.done():
                answer.set_result(dumped(responses[key]))
        if not self._asked:
            self._is_asked.clear()

    def end(self) -> None:
        """Nobody waits for it any more."""
        self.work.cancel()

    async def _ask(self, inquiry: Inquiry) -> Mapping[str, Any]:
        if inquiry.key in self.given:
            return dumped(self.given.pop(inquiry.key))
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        key = inquiry.key if inquiry.key not in self._asked else f"{inquiry.key}-{len(self._asked)}"
        self._asked[key] = (inquiry, answer)
        self._is_asked.set()
        try:
            return await answer
        finally:
            self._asked.pop(key, None)

    async def _log(self, said: Mapping[str, Any]) -> None:
        if self.host.log is not None:
            await self.host.log(said)

    def _tell(self, host: Host) -> Any:  # a ``ports.Progress``, or None
        if host.progress is None:
            return None

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if self.host.progress is not None:
                await self.host.progress(progress, total, message)

        return tell


def host_of(ctx: Any, principal: Principal) -> Host:
    """The MCP client behind a request, and what it can do while the request runs."""
    said = ctx.session.client_capabilities
    is_modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    return Host(
        principal=principal,
        capabilities=dumped(said) if said is not None else {},
        ask=None if is_modern else _asking(ctx),
        log_level=said_level(ctx),
        log=_logging(ctx),
        progress=_progress(ctx),
    )


def _asking(ctx: Any) -> Any:
    async def ask(inquiry: Inquiry) -> Mapping[str, Any]:
        if not ctx.session.can_send_request or inquiry.method not in _RESULTS:
            raise NotAnswered(f"the caller cannot be asked for {inquiry.method}")
        request, result = _RESULTS[inquiry.method]
        asked = request.model_validate({"method": inquiry.method, "params": dict(inquiry.params)})
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        return dumped(await ctx.session.send_request(asked, result, metadata=related))

    return ask


def _logging(ctx: Any) -> Any:
    async def log(said: Mapping[str, Any]) -> None:
        params = types.LoggingMessageNotificationParams.model_validate(dict(said))
        await ctx.session.send_notification(
            types.LoggingMessageNotification(params=params), related_request_id=ctx.request_id
        )

    return log


def _progress(ctx: Any) -> Any:  # a ``ports.Progress``, or None
    meta = ctx.meta or {}
    if meta.get("progress_token", meta.get("progressToken")) is None:
        return None

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        await ctx.session.report_progress(progress, total, message)

    return tell
