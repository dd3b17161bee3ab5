"""One record for each call, however it ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time

from opspawn_jupyter.broker import results
from opspawn_jupyter.broker.ports import CallLog
from opspawn_jupyter.errors import (
    OpspawnError,
    ToolServerUnavailable,
    ToolTimedOut,
)
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.tool import (
    CallOutcome,
    Principal,
    ToolCall,
    ToolCallRequest,
    ToolResult,
)

logger = logging.getLogger(__name__)

#: What a call is cancelled with when whoever waits for it has gone.
CALLER_LEFT = "the caller left"


class Recorder:
    """Of one call, from its beginning on."""

    def __init__(self, log: CallLog, principal: Principal, request: ToolCallRequest) -> None:
        self._log = log
        self._principal = principal
        self._request = request
        self._at = clock.now()
        self._started = time.perf_counter()

    async def done(self, result: ToolResult, *, with_values: bool) -> None:
        """The tool has answered."""
        outcome = CallOutcome.FAILED if result.is_error else CallOutcome.SUCCESS
        await self._write(outcome, None, results.size_bytes(result), with_values=with_values)

    async def failed(self, failure: BaseException, *, with_values: bool) -> None:
        """There is no answer."""
        if self._request.id is not None and _is_our_end(failure):
            return  # the caller may come back with it
        error = failure.code if isinstance(failure, OpspawnError) else None
        await self._write(_outcome(failure), error, 0, with_values=with_values)

    async def _write(
        self, outcome: CallOutcome, error: str | None, size: int, *, with_values: bool
    ) -> None:
        request = self._request
        given = {**request.arguments, **request.arguments_text}
        call = ToolCall(
            id=request.id or new_id(),
            at=self._at,
            principal=self._principal,
            server=request.server[:100],
            tool=request.tool[:200],
            arguments_digest=_digest(given),
            arguments=given if with_values else None,
            outcome=outcome,
            duration_seconds=time.perf_counter() - self._started,
            error=error,
            result_bytes=size,
        )
        # A record must not be lost because its caller has left.
        await asyncio.shield(asyncio.ensure_future(self._record(call)))

    async def _record(self, call: ToolCall) -> None:
        try:
            await self._log.record(call)
        except OpspawnError as problem:  # a call that was made is not undone by a full disk
            logger.error("tool call not recorded call_id=%s reason=%s", call.id, problem.message)


def _is_our_end(failure: BaseException) -> bool:
    """The server stops, and the caller had no part in it."""
    return isinstance(failure, asyncio.CancelledError) and CALLER_LEFT not in failure.args


def _outcome(failure: BaseException) -> CallOutcome:
    if isinstance(failure, ToolTimedOut):
        return CallOutcome.TIMED_OUT
    if isinstance(failure, ToolServerUnavailable):
        return CallOutcome.UNAVAILABLE
    if isinstance(failure, OpspawnError):
        return CallOutcome.REFUSED
    is_gone = isinstance(failure, asyncio.CancelledError)
    return CallOutcome.CANCELLED if is_gone else CallOutcome.UNAVAILABLE


def _digest(arguments: object) -> str:
    said = json.dumps(arguments, sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()
