"""What a page asks, and is told, through the kernel: for pages that come from another place than
the Jupyter server, as those of VS Code and Colab.

The page's messages come over a widget's comm in the kernel's own thread, and are only taken in
there. All work is done on the client's thread, which goes on while the kernel computes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.client.blocking import loop_thread
from opspawn_jupyter.client.client import AsyncClient
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.panel import task_panel
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.task import Task

Message = Mapping[str, Any]

_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE"})
#: A path below our own interface, and nowhere else.
_PATH = re.compile(r"[a-z][^\s\\#]*")
_TELL_EVERY_SECONDS = 0.3
_PAUSE_SECONDS = 1.0


class Relay:
    """One widget's way to the server."""

    def __init__(self, server: Server, tell: Callable[[Message], None]) -> None:
        self._client = AsyncClient(server)
        self._tell = tell
        self._leave: dict[int, Callable[[], object]] = {}

    def take(self, message: Message) -> None:
        """Called with each message of the page, in the kernel's thread."""
        number = int(message["id"])
        if message["do"] == "request":
            loop_thread().start(self._answer, message)
        elif message["do"] == "listen":
            self._leave[number] = loop_thread().start(self._listen, message)
        elif number in self._leave:
            self._leave.pop(number)()

    def follow(self, task: Task, told: Callable[[Message], None]) -> None:
        """Call ``told`` with the task's panel, soon after each change, until the task has ended."""
        loop_thread().start(self._follow, task, told)

    async def _answer(self, message: Message) -> None:
        said: dict[str, Any] = {"about": "request", "id": message["id"]}
        try:
            path = _checked(message)
            said["answer"] = await self._client.request(message["method"], path, message["body"])
        except errors.OpspawnError as problem:
            said |= {"problem": problem.message, "code": problem.code}
        self._tell(said | {"now": clock.now().isoformat()})

    async def _listen(self, message: Message) -> None:
        """Events from the number on that the page names; the stream is taken up where it broke."""
        task_id, after = message["task"], message["after"]
        about = {"about": "events", "id": message["id"]}
        while True:
            try:
                async with aclosing(self._client.messages(task_id, after)) as events:
                    async for event in events:
                        if event["type"] == "hello":
                            after = event["seq"] if after is None else after
                            self._tell(about | {"connection": "live"})
                            continue
                        after = max(after or 0, event["seq"])
                        self._tell(about | {"event": event})
            except (errors.Unavailable, errors.NotAuthenticated):
                await self._client.moved()
            except errors.NotFound:
                return
            self._tell(about | {"connection": "reconnecting"})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, task: Task, told: Callable[[Message], None]) -> None:
        handle = self._client.attach(task)
        changed = asyncio.Event()
        telling = asyncio.create_task(_tell_changes(changed, lambda: told(task_panel(handle.task))))
        try:
            async with aclosing(handle.follow()) as events:
                async for _ in events:
                    changed.set()
            await handle.refresh()
            told(task_panel(handle.task))
        finally:
            telling.cancel()


async def _tell_changes(changed: asyncio.Event, tell: Callable[[], None]) -> None:
    """Once for all that changes in a while."""
    while True:
        await changed.wait()
        changed.clear()
        tell()
        await asyncio.sleep(_TELL_EVERY_SECONDS)


def _checked(message: Message) -> str:
    """The path. Raises ``InvalidRequest`` for what no view asks for."""
    path = str(message["path"])
    is_below = _PATH.fullmatch(path) and ".." not in path.partition("?")[0].split("/")
    if message["method"] not in _METHODS or not is_below:
        raise errors.InvalidRequest(path, hint="a view asks for something below opspawn's own API")
    return path
