"""What a process of the tier ``pool`` has to say, said together with what follows within moments.

Each time that the worker is woken it takes a processor from a step: with steps that take less than
a millisecond, more was spent on going to and fro than on telling.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from contextlib import suppress

_SOON_SECONDS = 0.005


class Speaker:
    """Says lines to the worker, in the order in which they come."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        #: Threads of a step add to it while another one takes of it.
        self._unsaid = deque[bytes]()
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        os.register_at_fork(after_in_child=self._be_forked)
        threading.Thread(target=self._say_soon, daemon=True).start()

    def soon(self, lines: bytes) -> None:
        """Say these within moments, whatever the step does meanwhile."""
        self._unsaid.append(lines)
        if not self._has_some.is_set():
            self._has_some.set()

    def now(self, lines: bytes = b"") -> None:
        """Say these, and all that is unsaid."""
        self._unsaid.append(lines)
        with self._lock, suppress(OSError):  # where the line is closed the process is about to end
            unsaid = [self._unsaid.popleft() for _ in range(len(self._unsaid))]
            self._line.sendall(b"".join(unsaid))

    def _be_forked(self) -> None:
        """By code of a step: what is unsaid is for the parent to say, who may be at it."""
        self._lock, self._unsaid = threading.Lock(), deque()

    def _say_soon(self) -> None:
        while self._has_some.wait():
            time.sleep(_SOON_SECONDS)
            self._has_some.clear()
            self.now()
