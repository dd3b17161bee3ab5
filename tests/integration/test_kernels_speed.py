"""How much sooner a forked kernel runs its first cell. Prints ratios; time decides no test.

    python -m pytest tests/integration/test_kernels_speed.py -s

The ways take turns, so that whatever else the machine does slows all of them alike.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.client import SwiftKernelManager

FORK = "opspawn-fork"
ROUNDS = 7
CELLS = {"1 + 1": "1 + 1", "import pandas": "import pandas; pandas.DataFrame({'a': [1]}).sum()"}
WAYS = {
    "cold, stock client": (AsyncKernelManager, "local-provisioner"),
    "forked, stock client": (AsyncKernelManager, FORK),
    "forked, swift client": (SwiftKernelManager, FORK),
}


@dataclass(frozen=True)
class Run:
    """Milliseconds from the request."""

    first_cell: float
    whole: float


@pytest.fixture
def place(monkeypatch) -> Iterator[Path]:
    factory = KernelProvisionerFactory.instance()
    entry = EntryPoint(
        FORK, "opspawn_jupyter.kernels.provisioner:ForkProvisioner", factory.GROUP_NAME
    )
    monkeypatch.setitem(factory.provisioners, FORK, entry)
    monkeypatch.setattr(factory, "default_provisioner_name", "local-provisioner")
    with tempfile.TemporaryDirectory(prefix="osk-", dir="/tmp", ignore_cleanup_errors=True) as name:
        monkeypatch.setenv("OPSPAWN_KERNELS_DIRECTORY", name)
        monkeypatch.setenv("OPSPAWN_KERNELS_PATIENCE_SECONDS", "60")
        monkeypatch.setenv("OPSPAWN_KERNELS_PRELOAD", "pandas")
        yield Path(name)
        servers.stop_all(Path(name))


async def run(way: str, code: str) -> Run:
    manager_class, KernelProvisionerFactory.instance().default_provisioner_name = WAYS[way]
    begin = time.perf_counter()
    manager = manager_class(kernel_name="python3")
    await manager.start_kernel(extra_arguments=["--HistoryManager.hist_file=:memory:"])
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    reply = await client.execute(code, reply=True, timeout=60)
    first_cell = time.perf_counter()
    client.stop_channels()
    await manager.shutdown_kernel()
    end = time.perf_counter()
    assert reply["content"]["status"] == "ok"
    tier = getattr(manager.provisioner, "tier", "cold")
    assert tier == ("kernel" if way.startswith("forked") else "cold")
    return Run((first_cell - begin) * 1000, (end - begin) * 1000)


async def in_turns(code: str) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    for number in range(ROUNDS + 1):
        for way in WAYS:
            measured = await run(way, code)
            if number:  # the first round starts the fork server and fills caches
                runs[way].append(measured)
            await asyncio.sleep(0.2)  # as between two requests of people
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_forked_kernels_are_compared_with_cold_ones(place, cell):
    runs = asyncio.run(in_turns(CELLS[cell]))

    print(f"\n{cell}  (medians of {ROUNDS}, load {os.getloadavg()[0]:.1f})")
    for part in ("first_cell", "whole"):
        median = {w: statistics.median(getattr(r, part) for r in runs[w]) for w in WAYS}
        least = {w: min(getattr(r, part) for r in runs[w]) for w in WAYS}
        for way in WAYS:
            ratio = median["cold, stock client"] / median[way]
            print(
                f"  {part:10} {way:21} {median[way]:7.1f} ms  min {least[way]:7.1f}  {ratio:5.1f}x"
            )
