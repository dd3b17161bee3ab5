"""What a run says to its kernel, and hears from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeAlias

from jupyter_client.session import Session

from opspawn_jupyter.kernels.arrival import Part
from opspawn_jupyter.kernels.forking.line import IOPUB
from opspawn_jupyter.kernels.wire_channels import Wire
from opspawn_jupyter.runners import iopub
from opspawn_jupyter.runners.budget import Budget
from opspawn_jupyter.runners.messages import Messages

#: A message, and whether it is an output.
Heard: TypeAlias = tuple[bool, dict[str, Any]]


def parent(message: Mapping[str, Any]) -> Any:
    """Id of the request that the message belongs to."""
    return message["parent_header"].get("msg_id")


class Line(Protocol):
    """The channels of a kernel: ``Wire``, or ``Sockets``."""

    async def receive(self, timeout_seconds: float) -> tuple[bytes, Sequence[Part]] | None:
        """Channel and parts of the next message; None where none comes in time."""

    def send(self, parts: Sequence[bytes]) -> None:
        """Send a request."""

    def send_control(self, parts: Sequence[bytes]) -> None:
        """Send one that does not have to wait for cells."""

    def close(self) -> None:
        """Hang up."""


class Conversation:
    """Belongs to one event loop, and has one listener at a time.

    nbclient hands it to widgets as the kernel's client: ``session`` and ``shell_channel`` are what
    they use of one.
    """

    def __init__(self, line: Line, messages: Messages) -> None:
        self._line = line
        self._wire = line if isinstance(line, Wire) else None
        self._messages = messages
        #: Who takes the reply to a request, instead of the listener.
        self._takers: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._put_back: deque[Heard] = deque()
        #: What of the outputs is kept, where that has a limit.
        self.budget: Budget | None = None
        #: Something has come on iopub: nothing that is sent from now on can miss its listener.
        self.is_subscribed = False

    def ask(
        self,
        kind: str,
        content: Mapping[str, Any],
        taker: Callable[[dict[str, Any]], None] | None = None,
        *,
        is_ahead: bool = False,
    ) -> str:
        """Send a request; its id. Where the reply has a taker the listener does not hear it."""
        request, parts = self._messages.request(kind, content)
        if taker is not None:
            self._takers[request] = taker
        self._send(parts, is_ahead=is_ahead)
        return request

    @property
    def takes_ahead(self) -> bool:
        """Requests can be sent ``is_ahead``: before it is known how the last one ended. The kernel
        drops them where that was not well."""
        return self._wire is not None

    def together(self) -> AbstractContextManager[None]:
        """Send at once all that is asked meanwhile, where that can be."""
        return nullcontext() if self._wire is None else self._wire.together()

    def _send(self, parts: Sequence[bytes], *, is_ahead: bool) -> None:
        if is_ahead and self._wire is not None:
            self._wire.send_ahead(parts)
        else:
            self._line.send(parts)

    def release(self) -> None:
        """Have the kernel stay when this ends, for others."""
        if self._wire is not None:
            self._wire.release()

    def retract(self) -> None:
        """Have nothing begin any more, also of what was sent ahead, and the kernel end then."""
        if self._wire is not None:
            self._wire.retract()

    async def hear(self, timeout_seconds: float) -> Heard | None:
        """The next message; None where none comes in time, or where it had its taker.

        Raises ``ValueError`` for one that the kernel cannot have sent.
        """
        if self._put_back:
            return self._put_back.popleft()
        came = await self._line.receive(timeout_seconds)
        if came is None:
            return None
        channel, parts = came
        if channel == IOPUB:
            self.is_subscribed = True
            return True, iopub.bounded(self._messages, parts, self.budget)
        message = self._messages.read(parts)
        taker = self._takers.pop(parent(message), None)
        if taker is None:
            return False, message
        taker(message["content"])
        return None

    def put_back(self, messages: Sequence[Heard]) -> None:
        """Have them heard again, before all that is still to come."""
        self._put_back.extendleft(reversed(messages))

    def dismiss(self, *, is_ahead: bool = False) -> None:
        """Ask the kernel to end."""
        _, parts = self._messages.request("shutdown_request", {"restart": False})
        if is_ahead:
            self._send(parts, is_ahead=True)
        else:
            self._line.send_control(parts)

    @property
    def wire(self) -> Wire | None:
        """The line that leads to nobody else, where there is one."""
        return self._wire

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    @property
    def session(self) -> Session:
        """For widgets: makes messages."""
        return self._messages.session

    @property
    def shell_channel(self) -> Conversation:
        """For widgets: sends them."""
        return self

    def send(self, message: dict[str, Any]) -> None:
        """Send a message that the session made."""
        self._line.send(self.session.serialize(message))
