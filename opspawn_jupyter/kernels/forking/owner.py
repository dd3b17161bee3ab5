"""The client that a kernel was made for, on a line of its own beside the sockets of everybody.

What the owner asks comes on the line, and what it is answered goes there, as does all that the
kernel publishes: one piece for what would be six messages through four threads. Whoever else
connects finds the usual sockets, and requests of both wait for each other.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from tornado.ioloop import IOLoop

from .line import AHEAD, RELEASE, SHELL, Channel, Frames, Line
from .told import Told
from .turn import let_others_run


def is_possible() -> bool:
    """Whether this ipykernel can be told of requests that come another way: 6 cannot."""
    return hasattr(IPythonKernel, "shell_main")


class Owner:
    """The kernel's end of it. Belongs to the kernel's event loop."""

    def __init__(self, app: Any, descriptor: int) -> None:
        self._app = app
        self.line = Line()
        self.line.attach(descriptor)
        self.channel = Channel(self.line, SHELL)
        self._frames = Frames()
        self._asked: asyncio.Queue[Told | None] = asyncio.Queue()
        self._is_busy = False
        self._tasks: set[asyncio.Future[None]] = set()
        #: Nothing is asked any more, and nobody wants what was asked.
        self.has_left = False
        self._is_released = False

    def begin(self) -> None:
        """Serve once the kernel's loop runs. tornado's way to begin something takes ten times as
        long."""
        loop: Any = IOLoop.current()  # tornado's type does not know its asyncio loop
        self._hold(loop.asyncio_loop.create_task(self.serve()))

    async def serve(self) -> None:
        """Carry out what is asked until the owner wants no more; the kernel ends with that, unless
        it was released before."""
        self._begin(self._listen())
        await asyncio.sleep(0)
        own = len(asyncio.all_tasks())
        while told := await self._asked.get():
            self._look()
            if self.has_left or (told.is_farewell and not self._app.kernel.passes_over(told)):
                break
            self._is_busy = True
            await self._app.kernel.shell_main(None, told)
            self._is_busy = False
            await let_others_run(own)
            if self._asked.empty():  # else it goes with what is said next
                self.line.flush()
        if not self._is_released:
            await self._app.shut_down()

    async def _listen(self) -> None:
        while not self.has_left:
            self._take(await self.line.read())

    def _look(self) -> None:
        """Take all that has come by now: that the owner has left stands last."""
        while not self.has_left and (data := self.line.read_now()) is not None:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self._leave()
        for channel, parts in self._frames.feed(data):
            if channel == RELEASE:
                self._release()
            else:
                self._accept(Told(parts, is_ahead=channel == AHEAD))

    def _accept(self, told: Told) -> None:
        """A cell that waits for something may wait for what a widget says."""
        if self._is_busy and told.is_of_widget:
            self._begin(self._app.kernel.shell_main(None, told))
        else:
            self._asked.put_nowait(told)

    def _begin(self, work: Any) -> None:
        self._hold(asyncio.ensure_future(work))

    def _hold(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)  # the loop alone would forget it
        task.add_done_callback(self._tasks.discard)

    def _leave(self) -> None:
        self.has_left = True
        self._asked.put_nowait(None)

    def _release(self) -> None:
        """The kernel is one of nobody in particular from now on."""
        self._is_released = True
        self._leave()
        self._app.be_released()
        self.line.close()
