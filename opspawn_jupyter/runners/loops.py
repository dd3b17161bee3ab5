"""The event loop of a process that carries out one run after the other.

``asyncio.run`` makes a loop for each run, and looks after the interrupt key while it runs, which
together takes a tenth of what a run of three cells takes of its runner's time. A runner process
keeps its loop instead, for as long as each run leaves it empty.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LastingLoop:
    """Carries out what is to be awaited, in one loop for as long as that stays empty. For a main
    thread that does nothing else."""

    _kept: asyncio.Runner | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work comes to, as ``asyncio.run``."""
        runner, self._kept = self._kept or asyncio.Runner(), None
        loop, threads = runner.get_loop(), threading.active_count()
        try:
            return loop.run_until_complete(work)
        finally:
            _turn(loop)
            if asyncio.all_tasks(loop) or threading.active_count() > threads:
                runner.close()  # which ends them
            else:
                self._kept = runner

    def close(self) -> None:
        """Close the loop."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    """Have it do what it was about to, such as closing what was hung up."""
    loop.call_soon(loop.stop)
    loop.run_forever()


_lasting: list[LastingLoop] = []


def keep() -> None:
    """From now on this process keeps its loop."""
    _lasting[:] = [LastingLoop()]


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to: in the loop that this process keeps, or in one for it alone."""
    return _lasting[0].run(work) if _lasting else asyncio.run(work)
