"""Another program that makes one file of another, in a process group that ends in time."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.server.worker_process import worker_environment

_TIMEOUT_SECONDS = 120.0


async def convert(command: tuple[str, ...], directory: Path) -> None:
    """Run it in the directory. Raises ``Unavailable`` that holds its last complaint."""
    process = await asyncio.create_subprocess_exec(
        *command,
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
        raise Unavailable(hint=f"the notebook cannot be converted: {''.join(last)}")
