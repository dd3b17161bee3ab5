"""Ending a run before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from opspawn_jupyter.model.states import State


@dataclass(frozen=True)
class Stop:
    """Why a run ends before its time."""

    state: State
    message: str


class Brake:
    """May be pulled from any thread, at any time; only the first pull counts."""

    def __init__(self) -> None:
        self._stop: Future[Stop] = Future()

    def pull(self, state: State, message: str) -> None:
        """Ask the run to end, and name the outcome."""
        with suppress(InvalidStateError):
            self._stop.set_result(Stop(state, message))

    @property
    def pulled(self) -> Stop | None:
        """The first pull; None while the run may go on."""
        return self._stop.result() if self._stop.done() else None

    async def wait(self) -> None:
        """Return once it is pulled."""
        await asyncio.shield(asyncio.wrap_future(self._stop))

    @contextmanager
    def limit(self, what: str, seconds: float | None) -> Iterator[None]:
        """Pull with ``timed_out`` where the block takes longer. Only inside an event loop."""
        if not seconds:
            yield
            return
        message = f"{what} ran longer than its limit of {seconds:g} seconds."
        timer = asyncio.get_running_loop().call_later(seconds, self.pull, State.TIMED_OUT, message)
        try:
            yield
        finally:
            timer.cancel()
