"""The way to the server, wherever it is now."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.errors import OpspawnError, ServerNotFound
from opspawn_jupyter.model import wire

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
#: There is no proxy between worker and server, and what is reported twice does no harm.
_LONGEST_IDLE_SECONDS = 600.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Link:
    """Calls the server until it answers. A server that came back listens on another port and has
    another secret: ``server.json`` is read again after each failure."""

    def __init__(self, state_directory: Path, worker_id: str) -> None:
        self._record = state_directory / "server.json"
        self._worker_id = worker_id
        self._known: tuple[str, str] | None = None
        self._transport: Transport | None = None
        self._lost_since: float | None = None

    @property
    def lost_seconds(self) -> float:
        """How long no server has answered; 0 while one does."""
        return 0.0 if self._lost_since is None else time.monotonic() - self._lost_since

    async def call(self, verb: str, request: Any, answer: type[T], timeout_seconds: float) -> T:
        """The server's answer, however long it takes until there is one."""
        body = wire.encode(request)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                path = f"workers/{self._worker_id}/{verb}"
                value = await self._server().call(
                    "POST", path, body=body, timeout_seconds=timeout_seconds
                )
            except OpspawnError as error:
                self._note_loss(error)
            else:
                self._lost_since = None
                return wire.decode(answer, value)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Close idle connections."""
        if self._transport is not None:
            self._transport.close()

    def _server(self) -> Transport:
        """The server that is known, or that ``server.json`` names. Raises ``ServerNotFound``."""
        if self._transport is not None and self._lost_since is None:
            return self._transport
        found = self._read()
        if self._transport is None or found != self._known:
            self.close()
            self._known = found
            self._transport = _transport(*found)
        return self._transport

    def _read(self) -> tuple[str, str]:
        try:
            record = json.loads(self._record.read_bytes())
            return record["url"], record["worker_token"]
        except (OSError, ValueError, KeyError) as error:
            raise ServerNotFound(hint="there is no server.json in the state directory") from error

    def _note_loss(self, error: OpspawnError) -> None:
        if self._lost_since is None:
            self._lost_since = time.monotonic()
            _log.warning("server does not answer code=%s", error.code)


def _transport(url: str, token: str) -> Transport:
    """A server on this machine may have a certificate for its public name only."""
    is_local = urlsplit(url).hostname in _LOOPBACK
    return Transport(
        url, f"worker {token}", verify=not is_local, idle_seconds=_LONGEST_IDLE_SECONDS
    )
