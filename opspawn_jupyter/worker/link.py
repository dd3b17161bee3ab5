"""The way to the server, wherever it is now."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.errors import OpspawnError, ServerNotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.worker.line import Line

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
#: There is no proxy between worker and server, and what is reported twice does no harm.
_LONGEST_IDLE_SECONDS = 600.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Way(Protocol):
    """How a server is called."""

    @property
    def is_open(self) -> bool:
        """Another call can be made."""

    async def call(self, verb: str, body: str, timeout_seconds: float) -> Any:
        """The answer to a call with this JSON. Raises ``OpspawnError``."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What ``server.json`` says."""

    url: str
    token: str
    #: Where the server's socket for workers is; None where it has none.
    line: Path | None


class Link:
    """Calls the server until it answers. A server that came back listens elsewhere and has
    another secret: ``server.json`` is read again after each failure."""

    def __init__(self, state_directory: Path, worker_id: str) -> None:
        self._record = state_directory / "server.json"
        self._worker_id = worker_id
        self._known: _Known | None = None
        self._way: Way | None = None
        self._opening = asyncio.Lock()
        self._lost_since: float | None = None

    @property
    def lost_seconds(self) -> float:
        """How long no server has answered; 0 while one does."""
        return 0.0 if self._lost_since is None else time.monotonic() - self._lost_since

    async def call(self, verb: str, body: str, answer: type[T], timeout_seconds: float) -> T:
        """The server's answer to this JSON, however long it takes until there is one."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                way = await self._server()
                value = await way.call(verb, body, timeout_seconds)
            except OpspawnError as error:
                self._note_loss(error)
            else:
                self._lost_since = None
                return wire.decode(answer, value)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Close what is open."""
        if self._way is not None:
            self._way.close()

    async def _server(self) -> Way:
        """The server that is known, or that ``server.json`` names. Raises ``ServerNotFound``."""
        if self._way is not None and self._way.is_open and self._lost_since is None:
            return self._way
        async with self._opening:
            found = self._read()
            if self._way is None or found != self._known or not self._way.is_open:
                self.close()
                self._way = await self._open(found)
                self._known = found
            return self._way

    async def _open(self, found: _Known) -> Way:
        if found.line is not None:
            try:
                return await Line.open(found.line, self._worker_id, found.token)
            except OSError as failure:
                _log.info("server is called over HTTP reason=%s", failure)
        return _Requests(found, self._worker_id)

    def _read(self) -> _Known:
        try:
            record = json.loads(self._record.read_bytes())
            line = record.get("worker_line")
            return _Known(
                url=record["url"], token=record["worker_token"], line=Path(line) if line else None
            )
        except (OSError, ValueError, KeyError) as error:
            raise ServerNotFound(hint="there is no server.json in the state directory") from error

    def _note_loss(self, error: OpspawnError) -> None:
        if self._lost_since is None:
            self._lost_since = time.monotonic()
            _log.warning("server does not answer code=%s", error.code)


class _Requests:
    """Over HTTP, where there is no socket."""

    is_open = True

    def __init__(self, known: _Known, worker_id: str) -> None:
        # A server on this machine may have a certificate for its public name only.
        is_local = urlsplit(known.url).hostname in _LOOPBACK
        self._worker_id = worker_id
        self._transport = Transport(
            known.url,
            f"worker {known.token}",
            verify=not is_local,
            idle_seconds=_LONGEST_IDLE_SECONDS,
        )

    async def call(self, verb: str, body: str, timeout_seconds: float) -> Any:
        """See ``Way``."""
        path = f"workers/{self._worker_id}/{verb}"
        return await self._transport.call(
            "POST", path, body=json.loads(body), timeout_seconds=timeout_seconds
        )

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()
