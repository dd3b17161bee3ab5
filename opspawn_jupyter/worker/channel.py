"""The line between a worker and a runner process: JSON objects, one a line, over a socket pair.

The worker sends an assignment, and says when to stop; the runner tells events, and in the end may
say that it waits for its next assignment. Either notices the other's death by the end of the
stream.
"""

from __future__ import annotations

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
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.work import Assignment, ReportedEvent

_CANCEL = b"cancel\n"
#: Keys of lines that are no events: a wish, and that the runner is ready for another attempt.
_NEED = "needs_fork_server"
_WAITS = "waits"


def cancel_message() -> bytes:
    """What the worker sends to have the task cancelled."""
    return _CANCEL


def assignment_message(assignment: Assignment) -> bytes:
    """What a runner is to do."""
    return json.dumps(wire.encode(assignment)).encode() + b"\n"


def parse(line: bytes) -> ReportedEvent | Recipe | None:
    """The event that a runner told, not yet numbered, or the fork server that it needs. None
    where it has done its work, and waits for more."""
    told = json.loads(line)
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

    def wait_again(self) -> None:
        """Let the worker know that this process is ready for another attempt."""
        with self._lock:
            self._is_busy = False
            self._forget()
        self._say({_WAITS: True})

    def tell(self, type: EventType, data: Mapping[str, Any]) -> None:  # the port's
        """See ``ports.Reporter``. Once the worker is gone there is nobody to tell."""
        self._say(wire.encode(ReportedEvent(type=type, at=now(), data=data)))

    def need(self, recipe: Recipe) -> None:
        """Have the worker start a fork server."""
        self._say({_NEED: recipe.plain()})

    def on_stop(self, callback: Callable[[State], None]) -> None:
        """See ``ports.Reporter``."""
        with self._lock:
            self._callback = callback
            missed = list(self._stops)
        for state in missed:
            callback(state)

    def _say(self, told: Mapping[str, Any]) -> None:
        line = json.dumps(told).encode() + b"\n"
        with self._lock:
            if self._is_open:
                self._send(line)

    def _send(self, line: bytes) -> None:
        try:
            self._line.sendall(line)
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
