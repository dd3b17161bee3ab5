"""ipykernel's output channel, on which whoever has something to say sends it.

ipykernel leaves all sending to one thread: each message of a cell wakes it, and each flush waits
until it has had its turn. A lock does as well, and keeps the order. The thread stays for what needs
one: subscriptions, output of forked children, and text that nobody has flushed for a while.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import zmq
from ipykernel import iostream

from .line import IOPUB, Line
from .steady import SteadyLock

#: What can be written at once to a pipe that takes anything.
_READ_BYTES = select.PIPE_BUF
#: How a message of a socket to its publisher begins that is no end of a subscription.
_SUBSCRIBES = b"\x01"


class IOPubThread(iostream.IOPubThread):
    """Sends from the calling thread."""

    #: Where all of it goes as well, if the kernel was made for somebody.
    line: Line | None = None
    #: Something was said that a client may answer.
    has_asked = False
    #: All of it can go over the line with what comes next.
    _is_patient = False

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock = SteadyLock()
        #: What those want to hear who came to the socket.
        self._topics: set[bytes] = set()
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # of ipykernel

    def send_multipart(self, *args: Any, **options: Any) -> None:
        """Send now; in a child of the kernel's as ever."""
        if not self._is_master_process() or not self.thread.is_alive():  # type: ignore[no-untyped-call]
            super().send_multipart(*args, **options)  # type: ignore[no-untyped-call]
            return
        if self.line is not None:
            (self.line.hold if self._is_patient else self.line.send)(IOPUB, args[0])
        self._publish(*args, **options)

    def hold(self, parts: Sequence[Any]) -> None:
        """Send it; over the line with what comes next, or at its next flush."""
        if self.line is None or not self._is_master_process():  # type: ignore[no-untyped-call]
            self.send_multipart(parts)
        else:
            self.line.hold(IOPUB, parts)
            self._publish(parts)

    @property
    def is_private(self) -> bool:
        """Nobody but the owner hears what is sent from here."""
        return self.line is not None and not self._topics and self._is_master_process()  # type: ignore[no-untyped-call]

    def confide(self, parts: Sequence[Any], *, can_wait: bool) -> None:
        """Send it to the owner alone."""
        line = self.line
        if line is not None:
            (line.hold if can_wait or self._is_patient else line.send)(IOPUB, parts)

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Hold all that is sent meanwhile."""
        self._is_patient = True
        try:
            yield
        finally:
            self._is_patient = False

    def _publish(self, *args: Any, **options: Any) -> None:
        """Send it to those who came to the socket, if there are any."""
        if self.line is not None and not self.has_listeners:
            return
        with self._lock:
            self._really_send(*args, **options)  # type: ignore[no-untyped-call]
            has_news = self._has_subscriptions()
        if has_news:  # after a send the socket does not wake the thread for them any more
            self.io_loop.add_callback(self._on_ready)

    def _setup_xpub_listener(self) -> None:
        if getattr(self.socket, "type", None) == zmq.XPUB:
            self.io_loop.add_handler(self.socket, self._on_ready, self.io_loop.READ)
            self.io_loop.add_callback(self._on_ready)

    def _has_subscriptions(self) -> bool:
        return not self.socket.closed and bool(self.socket.get(zmq.EVENTS) & zmq.POLLIN)

    def _on_ready(self, *_: Any) -> None:
        with self._lock:
            while self._has_subscriptions():
                frames = self.socket.recv_multipart()
                self._note(frames)
                self._handle_subscription(frames)  # type: ignore[no-untyped-call]

    def _note(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            (self._topics.add if frame[:1] == _SUBSCRIBES else self._topics.discard)(frame[1:])

    @property
    def has_listeners(self) -> bool:
        """Somebody listens who came to the socket."""
        return bool(self._topics)


class OutStream(iostream.OutStream):
    """Flushes from the calling thread, with what was written to the file descriptor by then."""

    #: All is told that was written for a request which runs no more of the user's code.
    is_done = False

    def __init__(self, *args: Any, **options: Any) -> None:
        self._flush_lock, self._pipe_lock = SteadyLock(), SteadyLock()
        self._is_timed = False
        self._can_be_read = False
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # of ipykernel

    def flush(self) -> None:
        """Send what was written. What other threads are flushing has gone by then, too."""
        if self.pub_thread is None or not self._is_master_process():  # type: ignore[no-untyped-call]
            super().flush()  # type: ignore[no-untyped-call]  # of ipykernel
            return
        if self.is_done:
            return
        if _is_own(self._buffer_lock):  # a signal's handler interrupts a write
            self._schedule_flush()
            return
        with self._flush_lock:
            self._read_pipe()
            self._flush()  # type: ignore[no-untyped-call]  # as above

    def _schedule_flush(self) -> None:
        self.is_done = False
        if not self._is_timed:  # else it goes with what was written before
            self._is_timed = True
            self.pub_thread.schedule(self._start_timer)

    def _start_timer(self) -> None:
        self._io_loop.call_later(self.flush_interval, self._on_time)

    def _on_time(self) -> None:
        self._is_timed = False
        self.flush()

    def _watch_pipe_fd(self) -> None:
        pipe: int | None = self._fid
        if pipe is None:
            return
        try:
            os.set_blocking(pipe, False)
            self._can_be_read = True
            ready = select.poll()
            ready.register(pipe, select.POLLIN)
            while ready.poll() and self._should_watch:
                if self._take(pipe) == b"":
                    break
        except Exception:  # told when the stream is closed, as in the base class
            self._exc = sys.exc_info()

    def _read_pipe(self) -> None:
        """Write what is in the pipe. It goes on to where the stream led before; if nobody reads
        there, that is for the thread to wait for."""
        while self._can_be_read and _is_open(self._original_stdstream_copy):
            if not self._take(self._fid):
                break

    def _take(self, pipe: Any) -> bytes | None:
        """Write what comes next in the pipe: None where that is nothing so far, b"" at the end."""
        with self._pipe_lock:
            try:
                data = os.read(pipe, _READ_BYTES)
            except BlockingIOError:
                return None
            if not self._should_watch:  # it is what wakes the thread at the end
                return b""
            self.write(data.decode(errors="replace"))
        os.write(self._original_stdstream_copy, data)
        return data


def _is_own(lock: Any) -> bool:
    """This thread holds it."""
    return bool(lock._is_owned())  # noqa: SLF001  as ``threading.Condition`` asks


def _is_open(file: int) -> bool:
    """Whether something can be written to it at once."""
    ready = select.poll()
    ready.register(file, select.POLLOUT)
    return bool(ready.poll(0))
