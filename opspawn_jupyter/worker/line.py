"""Calls over the server's socket for workers; ``server/worker_line.py`` says what is spoken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self

from opspawn_jupyter import errors
from opspawn_jupyter.lines import Lines


class Line:
    """A connection that stays. Belongs to the event loop it is opened in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Lines(self._hear, self._lose)
        self._numbers = count(1)
        #: Calls by number, until they are answered.
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    async def open(cls, path: Path, worker_id: str, token: str) -> Self:
        """The line to the server at this socket. Raises ``OSError`` where none is there."""
        line = cls(path)
        await asyncio.get_running_loop().create_unix_connection(lambda: line._lines, str(path))
        said = json.dumps({"worker": worker_id, "token": token})
        line._lines.say(b"%s\n" % said.encode())
        return line

    @property
    def is_open(self) -> bool:
        """Another call can be made."""
        return self._lines.is_open

    async def call(self, verb: str, body: str, timeout_seconds: float) -> Any:
        """The answer to a call with this JSON. Raises ``OpspawnError``."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if not self.is_open:
                raise self._lost()
            self._lines.say(b'{"call":%d,"verb":"%s","body":%s}\n'
                            % (number, verb.encode(), body.encode()))  # fmt: skip
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except TimeoutError as failure:
            self.close()  # what it would still say comes too late
            raise self._lost("it did not answer in time") from failure
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up."""
        self._lines.close()

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            said = json.loads(line)
            answer = self._waiting.get(said["call"])
            if answer is None or answer.done():
                continue  # whoever asked has gone
            if "error" in said:
                told = said["error"]
                answer.set_exception(
                    errors.restore(told["code"], told["message"], told.get("detail") or {})
                )
            else:
                answer.set_result(said["answer"])

    def _lose(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._lost())

    def _lost(self, hint: str = "it hung up") -> errors.ServerUnreachable:
        return errors.ServerUnreachable(str(self._path), hint=hint)
