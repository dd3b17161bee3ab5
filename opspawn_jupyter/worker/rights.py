"""Rights to begin a step, of which each is taken once: by the process that begins it, or back.

A process of the tier ``pool`` is sent steps ahead, so that it need not wait for the worker between
two of them. The right to begin each of them comes by a socket of its own, of which the worker
holds both ends. What lies in it has not begun, and never will once it was taken back; what does
not lie in it any more may have. The system sees to it, whatever becomes of the process.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

_BYTES = 8


def right(number: int) -> bytes:
    """That to the step of this number, of which there is one after the other."""
    return b"%0*d" % (_BYTES, number)


class Rights:
    """Those of one process."""

    def __init__(self) -> None:
        self._giving, self.taking = socket.socketpair()

    def give(self, rights: Sequence[bytes]) -> None:
        """Let the process begin these, in this order."""
        self._giving.sendall(b"".join(rights))

    def take_back(self) -> int:
        """How many were not taken; they are the last of those that were given."""
        count = 0
        while found := take_some(self.taking):
            count += len(found) // _BYTES
        return count

    def close(self) -> None:
        """Let go of them. They are taken back no more."""
        self._giving.close()
        self.taking.close()


def take_some(taking: socket.socket, most: int = 64) -> bytes:
    """Rights that are there; nothing where there are none, or never will be any more."""
    try:
        return taking.recv(most * _BYTES, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def take(taking: socket.socket) -> bytes:
    """Wait for the next; nothing where there is nobody to give it."""
    return taking.recv(_BYTES)
