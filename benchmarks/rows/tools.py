"""A tool call: straight to its server, through our doors, and through another's proxy.

The upstream is the same plain echo over standard streams for all. Each measurement opens a
connection of its own, calls a few times unmeasured, and gives the median of the others.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import jupyter_process
from benchmarks import peers, servers
from benchmarks.measure import Goal, Row, Size, Way

Call = Callable[[], Awaitable[Any]]
Door = Callable[[], AbstractAsyncContextManager[Call]]

_HABITS = Path(__file__).parents[2] / "tests" / "integration" / "tool_servers" / "habits.py"
_UPSTREAM = [str(_HABITS), "none"]
_GIVEN = {"text": "hello"}
_JSON, _MCP, _PROXY = "opspawn, JSON", "opspawn, MCP", "fastmcp's proxy"
_DIRECT = "no one between"
_WARM_UP = 5


@contextmanager
def _call(size: Size) -> Iterator[Mapping[str, Way]]:
    with _ours() as own, _fastmcp() as url:
        doors: Mapping[str, Door] = {
            _JSON: partial(_over_json, own.process, connections=1),
            _MCP: partial(
                _over_mcp, f"{own.process.url}opspawn/mcp", "echo__echo", own.process.token
            ),
            _PROXY: partial(_over_mcp, url, "echo"),
            _DIRECT: _direct,
        }
        yield {name: partial(_median, door, size.of(200, 10)) for name, door in doors.items()}


@contextmanager
def _callers(size: Size) -> Iterator[Mapping[str, Way]]:
    """An answer that is none fails the row."""
    with _ours() as own:
        callers = size.of(200, 20)
        door = partial(_over_json, own.process, connections=callers)
        yield {_JSON: partial(_rate, door, callers, size.of(60, 2))}


def _median(door: Door, calls: int) -> float:
    return asyncio.run(_median_of(door, calls))


async def _median_of(door: Door, calls: int) -> float:
    async with door() as call:
        for _ in range(_WARM_UP):
            await call()
        taken = []
        for _ in range(calls):
            began = time.perf_counter()
            await call()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1_000


def _rate(door: Door, callers: int, seconds: int) -> float:
    return asyncio.run(_rate_of(door, callers, seconds))


async def _rate_of(door: Door, callers: int, seconds: int) -> float:
    async with door() as call:
        end = time.perf_counter() + seconds

        async def caller() -> int:
            calls = 0
            while time.perf_counter() < end:
                await call()
                calls += 1
            return calls

        return sum(await asyncio.gather(*(caller() for _ in range(callers)))) / seconds


@asynccontextmanager
async def _direct() -> AsyncIterator[Call]:
    parameters = StdioServerParameters(command=sys.executable, args=_UPSTREAM)
    async with Client(stdio_client(parameters), mode="legacy", cache=None) as client:
        yield lambda: client.call_tool("echo", _GIVEN)


@asynccontextmanager
async def _over_mcp(url: str, tool: str, token: str = "") -> AsyncIterator[Call]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as client,
    ):
        await client.list_tools()
        yield lambda: client.call_tool(tool, _GIVEN)


@asynccontextmanager
async def _over_json(
    server: jupyter_process.JupyterProcess, *, connections: int
) -> AsyncIterator[Call]:
    body = {"server": "echo", "tool": "echo", "arguments": _GIVEN}
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"Authorization": f"token {server.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, limits=limits) as http:

        async def call() -> None:
            answer = await http.post(f"{server.url}opspawn/api/v1/mcp/call", json=body)
            answer.raise_for_status()

        yield call


@contextmanager
def _ours() -> Iterator[servers.Ours]:
    rules = {"max_concurrency": 16}
    echo = {"echo": {"command": sys.executable, "args": _UPSTREAM, "opspawn": rules}}
    with servers.ours(f"--OpspawnExtension.mcp_servers={echo!r}") as own:
        yield own


@contextmanager
def _fastmcp() -> Iterator[str]:
    """The address of fastmcp's proxy before the same upstream."""
    port = jupyter_process.free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    script = peers.HELPERS / "fastmcp_proxy.py"
    process = subprocess.Popen(
        [peers.python("fastmcp"), script, str(port), sys.executable, *_UPSTREAM],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_answer(url, process)
        yield url
    finally:
        jupyter_process.stop(process)


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(url, timeout=2)
        except httpx2.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("fastmcp's proxy does not answer")


ROWS = (
    Row(
        name="tool-call",
        what="a call of an MCP tool, one after the other",
        unit="ms",
        ways=_call,
        goals=(
            Goal(ours=_JSON, other=_PROXY, at_least=10),
            Goal(ours=_MCP, other=_PROXY, at_least=10),
        ),
        rounds=7,
    ),
    Row(
        name="tool-callers",
        what="calls of 200 callers at once for a minute, none of which fails",
        unit="calls/s",
        ways=_callers,
        rounds=1,
        more_is_better=True,
    ),
)
