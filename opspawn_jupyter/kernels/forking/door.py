"""Where clients find a fork server: one socket for each name, one server behind it."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress

from . import wire

_BACKLOG = 128


class Door:
    """The right to the name, held by a lock, and the socket, once it is open."""

    def __init__(self, directory: str, name: str) -> None:
        self.prefix = os.path.join(directory, name)
        self._lock: int | None = None
        self._listener: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether clients can come."""
        return self._listener is not None

    @property
    def listener(self) -> socket.socket:
        """The open socket."""
        if self._listener is None:
            raise ValueError(self.prefix)
        return self._listener

    def claim(self) -> bool:
        """Whether the name is ours now. Nobody else gets it until we end or close."""
        lock = os.open(f"{self.prefix}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A record lock: unlike those of flock, forks do not inherit it.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def open(self) -> None:
        """Let clients come."""
        self._unlink()  # left by a server that was killed
        listener = wire.open_socket()
        previous = os.umask(0o177)
        try:
            listener.bind(f"{self.prefix}.sock")
        finally:
            os.umask(previous)
        listener.listen(_BACKLOG)
        self._listener = listener

    def close(self) -> None:
        """Give up the name: a successor may open its own door at once."""
        if self._listener is not None:
            self._unlink()
        self.leave()

    def leave(self) -> None:
        """Close this process's part, as a fork does, which has no right to the name."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _unlink(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(f"{self.prefix}.sock")
