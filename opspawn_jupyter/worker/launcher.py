"""Starting runner processes, and learning how they ended."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver, util
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

#: The last is what each process begins with: multiprocessing runs it anew in every one of them.
_PRELOAD = [
    "opspawn_jupyter.runners.preload",
    "opspawn_jupyter.worker.pool_rehearsal",
    "opspawn_jupyter.worker.__main__",
]
#: A socket's path has at most 107 bytes, of which multiprocessing's own names take 32.
_LONGEST_DIRECTORY = 70


class Launcher:
    """Forks each process from a server that has papermill imported; a fork takes milliseconds.

    Everything of multiprocessing is called from one thread: it starts nothing without looking
    after all other processes first, and two threads that do so rob each other of exit codes.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="launcher")
        self._context = _context()

    async def warm_up(self) -> None:
        """Have the imports done before the first task comes."""
        if self._context.get_start_method() == "forkserver":
            await self._call(forkserver.ensure_running)

    async def start(self, target: Callable[..., None], *arguments: Any) -> BaseProcess:
        """A new process that calls ``target``. What is picklable is handed over, sockets too."""
        process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]  # typeshed's
            target=target, args=arguments
        )
        await self._call(process.start)
        return process

    async def exit_code(self, process: BaseProcess, timeout_seconds: float) -> int | None:
        """How it ended, negative for a signal; None where it still runs after that time."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(process.sentinel, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), timeout_seconds)
        except TimeoutError:
            return None
        finally:
            loop.remove_reader(process.sentinel)
        await self._call(process.join)
        return process.exitcode

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def _call(self, function: Callable[[], Any]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_DIRECTORY:
        _put_sockets("/tmp")  # noqa: S108  in a private directory there
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


def _put_sockets(place: str) -> None:
    """Have multiprocessing make its directory here. It does so once, and removes it in the end."""
    before, tempfile.tempdir = tempfile.tempdir, place
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = before
