"""A server that is started here and spoken to over its standard streams.

In place of the SDK's own transport, because a server may do anything: one message may not take
all memory, noise may not keep the event loop, and the end has to come within a second. The
server leads a session of its own, and all of that session ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, jsonrpc_message_adapter

logger = logging.getLogger(__name__)

#: What every program needs, and nothing that is a secret of ours.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
#: How long a server gets to end after its input was closed, and again after being asked to; then it
#: is made to. Both together leave time until two seconds after the Jupyter server was asked to end.
GRACE_SECONDS = 0.5
_KEPT_WORDS_BYTES = 4_096
#: Lines in a row that are no message, after which nobody is believed to be speaking MCP.
_MOST_NOISE = 200
#: Notifications that are read at full speed, and how long each further one waits.
_FREE_NOTIFICATIONS = 500
_BRAKE_SECONDS = 0.005

Streams = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]
]


class Process:
    """A running server: what it last said in vain, and why it was given up."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid
        self.fault: str | None = None
        self._words = bytearray()

    @property
    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._words.decode("utf-8", "replace").strip()

    async def keep_words(self) -> None:
        """Read its standard error until that is closed."""
        stream = self.process.stderr
        while stream is not None and (chunk := await stream.read(65536)):
            self._words += chunk
            del self._words[:-_KEPT_WORDS_BYTES]


@asynccontextmanager
async def started(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    working_directory: str | None,
    largest_message_bytes: int,
    lost: Callable[[], None],
) -> AsyncIterator[tuple[Streams, Process]]:
    """The server's streams as the SDK wants them. ``lost`` is called when the server ends or is
    given up. Raises ``OSError`` where it cannot be started."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, **environment},
        cwd=working_directory,
        start_new_session=True,
        limit=largest_message_bytes,
    )
    running = Process(process)
    incoming, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    said, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    workers = [
        asyncio.ensure_future(_read(running, incoming, lost)),
        asyncio.ensure_future(_write(process, outgoing)),
        asyncio.ensure_future(running.keep_words()),
    ]
    try:
        yield (heard, said), running
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for stream in (incoming, heard, said, outgoing):
                stream.close()


async def _read(
    running: Process,
    incoming: MemoryObjectSendStream[SessionMessage | Exception],
    lost: Callable[[], None],
) -> None:
    try:
        async with incoming:
            await _pass_on(running, incoming)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the session is gone; so is the reason to read
    finally:
        lost()


async def _pass_on(
    running: Process, incoming: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    stdout = running.process.stdout
    noise = notifications = 0
    while stdout is not None and (line := await _line(running, stdout)):
        message = _message(line)
        if message is None:
            noise += 1
            if noise > _MOST_NOISE:
                running.fault = "it writes things to its standard output that are not MCP"
                return
            await asyncio.sleep(0)
            continue
        noise = 0
        is_notification = isinstance(message, JSONRPCNotification)
        notifications = notifications + 1 if is_notification else 0
        if notifications > _FREE_NOTIFICATIONS:
            await asyncio.sleep(_BRAKE_SECONDS)
        await incoming.send(SessionMessage(message))


async def _line(running: Process, stdout: asyncio.StreamReader) -> bytes:
    """The next line; nothing at the end, or where there will be none that can be used."""
    try:
        return await stdout.readline()
    except ValueError:  # longer than the limit
        running.fault = "it sent a message that is larger than the limit"
    except ConnectionError:
        pass  # it ended while it wrote
    return b""


def _message(line: bytes) -> Any:  # one of the SDK's message classes, or None
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        logger.debug("no message size_bytes=%s", len(line))
        return None


async def _write(
    process: asyncio.subprocess.Process, outgoing: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    stdin = process.stdin
    if stdin is None:
        return
    with suppress(ConnectionError, anyio.ClosedResourceError):
        async for item in outgoing:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            stdin.write(text.encode() + b"\n")
            await stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, then ask it, then make it; with everything that it started."""
    if process.stdin is not None:
        process.stdin.close()
    for measure in (None, signal.SIGTERM, signal.SIGKILL):
        if measure is not None:
            _signal(process.pid, measure)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
            break
    _signal(process.pid, signal.SIGKILL)  # what it started and left behind
    # What escaped even from its session may hold the pipes open; nothing public closes ours.
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001


def _signal(group: int, measure: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, measure)
