"""One record for each call, however it ended.

A call that nobody comes back to is answered before its record is durable: the disk would cost more
than the call. What is not written yet is waited for when the broker closes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

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


_CLOSE_SECONDS = 5.0
#: Records that may wait for the disk; with more the calls wait, too.
_MOST_PENDING = 1_000
_HIDDEN = "***"
#: Names of arguments whose values are nobody's business.
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token(?!s)|(api|private).?key|authorization|credential",
    re.IGNORECASE,
)


class Records:
    """Of all calls."""

    def __init__(self, log: CallLog, hide: Callable[[str], str]) -> None:
        self._log = log
        self.hide = hide
        self._pending: set[asyncio.Task[None]] = set()

    async def keep(self, call: ToolCall, *, is_awaited: bool) -> None:
        """Keep it, even if its caller has left; ``is_awaited`` until it is durable."""
        task = asyncio.create_task(self._record(call), name="tool call record")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        if is_awaited or len(self._pending) > _MOST_PENDING:
            await asyncio.shield(task)
        else:
            await asyncio.sleep(0)  # it is in line before the answer is on its way

    async def close(self) -> None:
        """Wait for what is not durable yet."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=_CLOSE_SECONDS)

    async def _record(self, call: ToolCall) -> None:
        try:
            await self._log.record(call)
        except OpspawnError as problem:  # a call that was made is not undone by a full disk
            logger.error("tool call not recorded call_id=%s reason=%s", call.id, problem.message)


class Recorder:
    """Of one call, from its beginning on."""

    def __init__(self, records: Records, principal: Principal, request: ToolCallRequest) -> None:
        self._records = records
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
            arguments=redacted(given, self._records.hide) if with_values else None,
            outcome=outcome,
            duration_seconds=time.perf_counter() - self._started,
            error=error,
            result_bytes=size,
        )
        await self._records.keep(call, is_awaited=request.id is not None)


def redacted(value: Any, hide: Callable[[str], str]) -> Any:
    """The value without secrets that are known, and without what is named like one."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if _SECRET_NAME.search(str(key)) else redacted(item, hide)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item, hide) for item in value]
    return value


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
