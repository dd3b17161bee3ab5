"""An executed notebook as a web page, made by nbconvert in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.server.worker_process import worker_environment

_TIMEOUT_SECONDS = 120.0
_COMMAND = ("-m", "nbconvert", "--to", "html", "--log-level", "ERROR", "--output", "page")


class HtmlExport:
    """Makes pages, few at a time: each takes a processor for seconds."""

    def __init__(self, most_at_once: int = 2) -> None:
        self._slots = asyncio.Semaphore(most_at_once)

    @asynccontextmanager
    async def page(self, notebook: Path) -> AsyncIterator[Path]:
        """The page of the notebook, for as long as the context lasts. Raises ``Unavailable``."""
        with tempfile.TemporaryDirectory(prefix="opspawn-") as directory:
            async with self._slots:
                await _convert(notebook, Path(directory))
            yield Path(directory, "page.html")


async def _convert(notebook: Path, directory: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(*_COMMAND, "--output-dir", str(directory), str(notebook)),
        cwd=directory,
        env=worker_environment(os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, complaints = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
    except TimeoutError as failure:
        hint = f"converting the notebook took more than {_TIMEOUT_SECONDS:g} seconds"
        raise Unavailable(hint=hint) from failure
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        last = complaints.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise Unavailable(hint=f"nbconvert cannot convert the notebook: {''.join(last)}")
