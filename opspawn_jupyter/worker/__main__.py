"""``python -m opspawn_jupyter.worker``: what the server starts."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.worker.worker import Worker, WorkerSettings


def main() -> None:
    """Read the command line and work."""
    settings = _settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with suppress(OSError):
        os.setsid()  # it is a leader already where the server started it
    asyncio.run(_work(settings))


async def _work(settings: WorkerSettings) -> None:
    worker = Worker(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.end)
    await worker.run()


def _settings() -> WorkerSettings:
    parser = argparse.ArgumentParser(prog="python -m opspawn_jupyter.worker", description=__doc__)
    add = parser.add_argument
    grace = Grace()
    add("--state-directory", type=Path, required=True, help="where server.json lies")
    add("--worker-id", required=True, help="name of this worker, unique among those of a server")
    add("--slots", type=int, default=4, help="how many tasks to run at once")
    add("--spare-runners", type=int, default=0, help="how many processes wait for a task")
    add("--interrupt-grace", type=float, default=grace.interrupt_seconds, metavar="SECONDS")
    add("--terminate-grace", type=float, default=grace.terminate_seconds, metavar="SECONDS")
    add("--kernel-start-timeout", type=float, default=grace.kernel_start_seconds, metavar="SECONDS")
    add("--lonely-after", type=float, default=60.0, metavar="SECONDS",
        help="leave when idle and without a server for so long")  # fmt: skip
    given = parser.parse_args()
    return WorkerSettings(
        state_directory=given.state_directory.absolute(),
        worker_id=given.worker_id,
        slots=given.slots,
        spare_runners=given.spare_runners,
        grace=Grace(
            interrupt_seconds=given.interrupt_grace,
            terminate_seconds=given.terminate_grace,
            kernel_start_seconds=given.kernel_start_timeout,
        ),
        lonely_seconds=given.lonely_after,
    )


if __name__ == "__main__":
    main()
