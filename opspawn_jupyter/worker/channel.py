"""The line between a worker and a runner process: JSON objects, one a line, over a socket pair.

The worker sends an assignment, and says when to stop; the runner tells events, and in the end may
say that it waits for its next assignment. Either notices the other's death by the end of the
stream. What nobody waits for is told a moment later, together with what comes in that moment: to
wake the worker for each event takes its processor from the kernel.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from opspawn_jupyter.kernels.recipe import Recipe
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.states import OUTCOME_EVENTS, EventType, State
from opspawn_jupyter.model.work import Assignment, ReportedEvent

_encode = encoder()
_CANCEL = b"cancel\n"
#: Keys of lines that are no events: a wish, and that the runner is ready for another attempt.
_NEED = "needs_fork_server"
#: How long an event may wait for others.
_GATHERING_SECONDS = 0.02
#: Events that somebody may wait for.
_URGENT = frozenset(
    {
        *OUTCOME_EVENTS.values(),
        EventType.WAITING,
        EventType.STEP_OUTPUT,
        EventType.KERNEL_KEPT,
        EventType.MODEL_REPLIED,
        EventType.AGENT_CALLED,
    }
)
_WAITS = "waits"
_BEGUN = "begun"


def cancel_message() -> bytes:
    """What the worker sends to have the task cancelled."""
    return _CANCEL


def assignment_message(assignment: Assignment) -> bytes:
    """What a runner is to do."""
    return _line(wire.encode(assignment))


class Begun:
    """The runner has read what it is to do."""


def parse(line: bytes) -> ReportedEvent | Recipe | Begun | None:
    """The event that a runner told, not yet numbered, or the fork server that it needs, or that
    it has begun. None where it has done its work, and waits for more."""
    told = json.loads(line)
    if _BEGUN in told:
        return Begun()
    if _NEED in told:
        return Recipe.from_plain(told[_NEED])
    if _WAITS in told:
        return None
    return wire.decode(ReportedEvent, told)


class ChannelReporter:
    """The runner's end; a ``ports.Reporter``."""

    def __init__(self, line: socket.socket, *, orphaned: Callable[[], None]) -> None:
        self._line = line
        self._orphaned = orphaned
        self._lock = threading.Lock()
        self._is_open = True
        self._is_busy = False
        #: Assignments as they were sent; None at the end of the line.
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._callback: Callable[[State], None] | None = None
        self._stops: list[State] = []
        self._gathered: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_spoken_to(self) -> bool:
        """The worker has said something, or hung up, before this process listened."""
        return bool(select.select([self._line], [], [], 0)[0])

    def listen(self) -> None:
        """Begin to hear the worker."""
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    def assignment(self) -> Assignment | None:
        """Wait for what there is to do; None where the worker has hung up."""
        line = self._waiting.get()
        return None if line is None else wire.decode(Assignment, json.loads(line))

    def begin(self) -> None:
        """Let the worker know that the attempt is this process's: from now on it may leave
        traces."""
        self._send(_line({_BEGUN: True}))

    def wait_again(self) -> None:
        """Let the worker know that this process is ready for another attempt."""
        with self._lock:
            self._is_busy = False
            self._forget()
        self._send(_line({_WAITS: True}))

    def tell(self, type: EventType, data: Mapping[str, Any]) -> None:  # the port's
        """See ``ports.Reporter``. Once the worker is gone there is nobody to tell."""
        line = _line(wire.encode(ReportedEvent(type=type, at=now(), data=data)))
        loop = None if type in _URGENT else _running_loop()
        if loop is None:
            self._send(line)
            return
        with self._lock:
            self._gathered.append(line)
        # One that is overdue may be of a loop that has ended.
        if self._timer is None or self._timer.when() < loop.time():
            self._timer = loop.call_later(_GATHERING_SECONDS, self._send)

    def catch_up(self) -> None:
        """See ``ports.Reporter``."""
        self._send()

    def need(self, recipe: Recipe) -> None:
        """Have the worker start a fork server."""
        self._send(_line({_NEED: recipe.plain()}))

    def on_stop(self, callback: Callable[[State], None]) -> None:
        """See ``ports.Reporter``."""
        with self._lock:
            self._callback = callback
            missed = list(self._stops)
        for state in missed:
            callback(state)

    def _send(self, *lines: bytes) -> None:
        """Send them, and before them what was gathered."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            data = b"".join((*self._gathered, *lines))
            self._gathered.clear()
            try:
                if self._is_open:
                    self._line.sendall(data)
            except OSError:
                self._is_open = False

    def _listen(self) -> None:
        try:
            with self._line.makefile("rb") as lines:
                for line in lines:
                    self._hear(line)
        except OSError:
            pass  # as good as the end of the stream
        self._waiting.put(None)
        if self._is_busy:
            self._stop(State.CRASHED)
            self._orphaned()

    def _hear(self, line: bytes) -> None:
        """A cancel that comes between two attempts was meant for the last one."""
        if line != _CANCEL:
            with self._lock:
                self._is_busy = True
                self._forget()
            self._waiting.put(line)
        elif self._is_busy:
            self._stop(State.CANCELLED)

    def _forget(self) -> None:
        self._callback = None
        self._stops.clear()

    def _stop(self, state: State) -> None:
        with self._lock:
            self._stops.append(state)
            callback = self._callback
        if callback is not None:
            callback(state)


def _line(told: Mapping[str, Any]) -> bytes:
    return _encode(told).encode() + b"\n"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """That of this thread; only where one runs can something be done a moment later."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
