"""Sync names of async methods, above all when somebody presses Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any

import pytest

from opspawn_jupyter.client import blocking as module
from opspawn_jupyter.client.blocking import Blocking, blocking, iterating


class Source:
    """Gives three numbers, or waits for ever."""

    def __init__(self) -> None:
        self.closed = 0
        self.is_waiting = threading.Event()

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(3):
                yield number
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    async def for_ever(self) -> None:
        try:
            self.is_waiting.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Sync(Blocking[Source]):
    numbers = iterating(Source.numbers)
    for_ever = blocking(Source.for_ever)


class Lines:
    """Counts the lines that this thread runs in the module, and raises at one of them."""

    def __init__(self, raise_at: int = 0) -> None:
        self.count = 0
        self._raise_at = raise_at

    @contextmanager
    def watched(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            self.count += 1
            if self.count == self._raise_at:
                raise KeyboardInterrupt
        return self._trace


def test_ctrl_c_at_any_line_ends_the_iteration_and_closes_its_source() -> None:
    """Also where it comes while the loop is only being asked for the next item."""
    all_lines = Lines()
    with closing(Sync(Source()).numbers()) as items:
        next(items)
        with all_lines.watched():
            next(items)

    for line in range(1, all_lines.count + 1):
        source = Source()
        with closing(Sync(source).numbers()) as items:
            next(items)
            with pytest.raises(KeyboardInterrupt), Lines(raise_at=line).watched():
                next(items)
        assert source.closed == 1, f"line {line} of {all_lines.count}"


def test_ctrl_c_ends_a_wait_and_cancels_what_was_waited_for() -> None:
    source = Source()

    def press() -> None:
        source.is_waiting.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        Sync(source).for_ever()
    thread.join()

    assert source.closed == 1
