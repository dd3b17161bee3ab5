"""The door for workers of this machine: a socket in the state directory, on which they stay.

What a worker asks and tells is the same as at the HTTP door (``handlers/worker.py``), without what
HTTP takes for each request. JSON objects, one a line. The worker says first who it is, and shows
the workers' secret; then each of its calls is answered under its number, in any order:

    {"worker": "local-1", "token": "…"}
    {"call": 1, "verb": "take", "body": {…}}      {"call": 1, "answer": {…}}
    {"call": 2, "verb": "reports", "body": {…}}   {"call": 2, "error": {"code": …, "message": …}}

A worker that finds no such socket, or lives elsewhere, calls over HTTP.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import InvalidRequest, OpspawnError, StoreUnavailable
from opspawn_jupyter.lines import Lines
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.work import ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.background import Background
from opspawn_jupyter.server.envelope import envelope_of
from opspawn_jupyter.server.worker_calls import Answered, give_work, take_in_reports

logger = logging.getLogger(__name__)

_NAME = "workers.sock"
_BACKLOG = 100


class WorkerLine:
    """The socket, and who is on it."""

    def __init__(self, state_directory: Path, token: str) -> None:
        self.token = token
        self._path = state_directory / _NAME
        self._socket: socket.socket | None = None
        self._listening: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()

    def bind(self) -> Path | None:
        """Where workers find it, from now on; None where it cannot be made. Blocks for a moment.

        Who comes before it is open waits.
        """
        try:
            self._socket = _bound(self._path)
        except (OSError, AttributeError) as failure:
            # A path that is too long, a file system or a system without such sockets.
            logger.info("workers are to call over HTTP reason=%s", failure)
            return None
        return self._path

    async def open(self, o: Orchestration) -> None:
        """Begin to answer."""
        if self._socket is not None:
            self._listening = await asyncio.get_running_loop().create_unix_server(
                lambda: self._welcome(o), sock=self._socket
            )

    async def close(self) -> None:
        """Hang up on all of them, and take nobody in any more."""
        if self._socket is None:
            return
        if self._listening is not None:
            self._listening.close()
        self._socket.close()
        self._socket = self._listening = None
        await asyncio.gather(*(one.end() for one in list(self._conversations)))
        await asyncio.to_thread(self._path.unlink, missing_ok=True)

    def _welcome(self, o: Orchestration) -> Lines:
        conversation = _Conversation(o, self.token, self._conversations.discard)
        self._conversations.add(conversation)
        return conversation.lines


class _Conversation:
    """With one worker, or with a stranger until the secret is shown."""

    def __init__(
        self, o: Orchestration, token: str, ended: Callable[[_Conversation], None]
    ) -> None:
        self.lines = Lines(self._hear, self._lost)
        self._o = o
        self._token = token
        self._ended = ended
        self._worker: str | None = None
        #: Calls that wait for their answer; those among them that ask for work.
        self._calls = Background()
        self._asking: set[asyncio.Task[Any]] = set()
        self._is_ending = False
        self._ending: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Hang up, once all is taken in that was told."""
        await self._settle()
        self.lines.close()

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if self._is_ending:
                return
            if self._worker is not None:
                self._calls.start(self._answer(self._worker, line), "worker's call")
                continue
            self._worker = _introduced(line, self._token)
            if self._worker is None:
                self._is_ending = True
                self.lines.close()

    def _lost(self) -> None:
        self._ending = asyncio.ensure_future(self._settle())
        self._ending.add_done_callback(lambda _: self._ended(self))

    async def _settle(self) -> None:
        """What would be handed out now is for another worker. What was told counts."""
        self._is_ending = True
        for asking in self._asking:
            asking.cancel()
        await self._calls.finish()

    async def _answer(self, worker: str, line: bytes) -> None:
        call = await _parsed(line)
        try:
            told, size_bytes = await self._done(worker, call)
            name = "answer"
        except Exception as failure:  # the boundary: the worker must hear that it was not done
            told, size_bytes, name = _refusal(failure), 0, "error"
        text = await _text(told, size_bytes)
        self.lines.say(b'{"call":%d,"%s":%s}\n' % (call["call"], name.encode(), text.encode()))

    async def _done(self, worker: str, call: Mapping[str, Any]) -> Answered:
        body: Any = call.get("body")
        match call.get("verb"):
            case "take":
                return await self._give(worker, schemas.read_record(TakeRequest, body))
            case "reports":
                told = schemas.read_record(ReportRequest, body)
                return await take_in_reports(self._o, worker, told)
            case verb:
                raise InvalidRequest(verb, hint="it is take or reports")

    async def _give(self, worker: str, request: TakeRequest) -> Answered:
        asking = asyncio.current_task()
        assert asking is not None  # noqa: S101  a call's own
        if self._is_ending:
            raise StoreUnavailable(hint="the worker hung up, or the server is stopping")
        self._asking.add(asking)
        try:
            return await give_work(self._o, worker, request)
        finally:
            self._asking.discard(asking)


def _introduced(line: bytes, token: str) -> str | None:
    """The worker's name; None for whoever cannot show the secret."""
    try:
        said = json.loads(line)
        shown, worker = str(said["token"]), str(said["worker"])
    except (ValueError, LookupError, TypeError):
        return None
    return worker if hmac.compare_digest(shown.encode(), token.encode()) else None


async def _parsed(line: bytes) -> Any:
    if len(line) <= schemas.SMALL_BYTES:
        return json.loads(line)
    return await asyncio.to_thread(json.loads, line)


async def _text(told: Any, size_bytes: int) -> str:
    if size_bytes <= schemas.SMALL_BYTES:
        return wire.to_json(told)
    return await asyncio.to_thread(wire.to_json, told)


def _refusal(failure: Exception) -> Any:
    error = failure if isinstance(failure, OpspawnError) else OpspawnError()
    told = envelope_of(error, new_id())
    if error.code == OpspawnError.code:
        logger.error("worker's call failed request_id=%s", told.request_id, exc_info=failure)
    return told


def _bound(path: Path) -> socket.socket:
    """A socket at the path that only this account may use. Raises ``OSError``."""
    path.unlink(missing_ok=True)  # an earlier server's, that was killed
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(os.fspath(path))
        path.chmod(0o600)
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound
