"""Kernels: how soon they run a cell, and what each costs in memory."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import psutil
from jupyter_client import AsyncKernelManager

from benchmarks.measure import Goal, Row, Size, Way
from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.client import SwiftKernelManager
from opspawn_jupyter.kernels.defaults import SPARE_ARGUMENTS
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners.conversation import Conversation, parent
from opspawn_jupyter.runners.forked import ForkedKernel

_PANDAS = "import pandas as pd; pd.DataFrame({'a': range(1000)}).describe()"


@contextmanager
def _forking(preload: str) -> Iterator[None]:
    """Fork servers of our own, that end with us."""
    with tempfile.TemporaryDirectory(prefix="opspawn-bench-") as place:
        settings = {
            servers.DIRECTORY_VARIABLE: place,
            servers.OWNER_VARIABLE: str(os.getpid()),
            "OPSPAWN_KERNELS_PRELOAD": preload,
            "OPSPAWN_KERNELS_PATIENCE_SECONDS": "60",
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield
        finally:
            servers.stop_all(servers.directory() or servers.Path(place))
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _first_cell(_size: Size) -> Iterator[Mapping[str, Way]]:
    with _forking(""):
        forked = partial(_once, SwiftKernelManager, "1 + 1", _seconds)
        forked()
        _once_in_a_task("1 + 1")
        yield {
            "a task's kernel": partial(_once_in_a_task, "1 + 1"),
            "forked for jupyter_client": forked,
            "cold kernel": partial(_once, AsyncKernelManager, "1 + 1", _seconds),
        }


def _once_in_a_task(code: str) -> float:
    return asyncio.run(_run_in_a_task(code))


async def _run_in_a_task(code: str) -> float:
    """As a runner talks to the kernel of a task."""
    began = time.perf_counter()
    kernel = ForkedKernel("python3", grace=Grace(), env=os.environ, is_alone=True)
    try:
        await kernel.launch()
        await kernel.connect()
        assert kernel.conversation is not None
        asked = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        await _ended(kernel.conversation, kernel.conversation.ask("execute_request", asked))
        return time.perf_counter() - began
    finally:
        await kernel.close()


async def _ended(conversation: Conversation, request: str) -> None:
    """Once the reply has come, and the last of the outputs."""
    has_replied = is_idle = False
    while not (has_replied and is_idle):
        if (heard := await conversation.hear(1.0)) is None or parent(heard[1]) != request:
            continue
        is_output, message = heard
        has_replied = has_replied or not is_output
        is_idle = is_idle or message["content"].get("execution_state") == "idle"


@contextmanager
def _memory(_size: Size) -> Iterator[Mapping[str, Way]]:
    with _forking("pandas"):
        forked = partial(_once, SwiftKernelManager, _PANDAS, _private_megabytes)
        forked()
        yield {
            "forked kernel": forked,
            "cold kernel": partial(_once, AsyncKernelManager, _PANDAS, _private_megabytes),
        }


def _once(manager_class: Any, code: str, figure: Any) -> float:
    return asyncio.run(_run(manager_class(kernel_name="python3"), code, figure))


async def _run(manager: Any, code: str, figure: Any) -> float:
    began = time.perf_counter()
    await manager.start_kernel(extra_arguments=list(SPARE_ARGUMENTS))
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
        return float(figure(began, manager.provisioner.pid))
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


def _seconds(began: float, _pid: int) -> float:
    return time.perf_counter() - began


def _private_megabytes(_began: float, pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6


ROWS = (
    Row(
        name="first-cell",
        what="from the request for a kernel to the end of its first cell",
        unit="s",
        ways=_first_cell,
        goals=(Goal(ours="a task's kernel", other="cold kernel", at_least=40),),
        rounds=15,
        rest_seconds=0.5,
    ),
    Row(
        name="memory",
        what="private memory of a kernel that has used pandas",
        unit="MB",
        ways=_memory,
        goals=(Goal(ours="forked kernel", other="cold kernel", at_least=2.5),),
        rounds=5,
    ),
)
