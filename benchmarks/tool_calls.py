"""How much a tool call costs through the broker: against a direct call, and against another proxy.

    python benchmarks/tool_calls.py [--seconds 10] [--callers 200] [--fastmcp PYTHON]

The same upstream (a plain echo over standard streams) is called directly, through the JSON door,
and through ``/opspawn/mcp``; with ``--fastmcp`` (a Python that has fastmcp installed) also through
fastmcp's proxy. Rows are to be compared with each other: absolute values depend on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import httpx2  # noqa: E402 (the path comes first)
from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

from jupyter_process import JupyterProcess, jupyter_server  # noqa: E402

UPSTREAM = [str(ROOT / "tests" / "integration" / "tool_servers" / "habits.py"), "none"]
ARGUMENTS = {"text": "hello"}
_PROXY = """
import sys
from fastmcp.server import create_proxy
config = {"mcpServers": {"echo": {"command": sys.argv[1], "args": sys.argv[2:4]}}}
create_proxy(config).run(transport="http", host="127.0.0.1", port=int(sys.argv[4]))
"""

Call = Callable[[], Awaitable[Any]]


async def sequential(call: Call, seconds: float) -> dict[str, float]:
    """Latency of one caller, in milliseconds, and its calls a second."""
    for _ in range(5):
        await call()
    taken = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        await call()
        taken.append((time.perf_counter() - started) * 1_000)
    return {
        "p50_ms": statistics.median(taken),
        "p95_ms": statistics.quantiles(taken, n=20)[-1],
        "calls_per_second": len(taken) / seconds,
    }


async def concurrent(call: Call, callers: int, seconds: float) -> dict[str, float]:
    """Calls a second of many callers at once, and how many failed."""
    end = time.perf_counter() + seconds
    counts = {"calls": 0, "errors": 0}

    async def caller() -> None:
        while time.perf_counter() < end:
            try:
                await call()
                counts["calls"] += 1
            except Exception as failure:  # any kind is counted
                counts["errors"] += 1
                print(f"error: {failure!r}"[:300], file=sys.stderr)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return {"calls_per_second": counts["calls"] / seconds, "errors": counts["errors"]}


@asynccontextmanager
async def direct() -> AsyncIterator[Call]:
    """The upstream without anybody between."""
    parameters = StdioServerParameters(command=sys.executable, args=UPSTREAM)
    async with Client(stdio_client(parameters), mode="legacy", cache=None) as client:
        yield lambda: client.call_tool("echo", ARGUMENTS)


@asynccontextmanager
async def over_mcp(url: str, tool: str, token: str = "") -> AsyncIterator[Call]:
    """Through somebody who speaks MCP over HTTP."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as client,
    ):
        await client.list_tools()
        yield lambda: client.call_tool(tool, ARGUMENTS)


@asynccontextmanager
async def over_json(server: JupyterProcess, connections: int) -> AsyncIterator[Call]:
    """Through the door that kernels use."""
    body = {"server": "echo", "tool": "echo", "arguments": ARGUMENTS}
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"Authorization": f"token {server.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, limits=limits) as http:

        async def call() -> None:
            answer = await http.post(f"{server.url}opspawn/api/v1/mcp/call", json=body)
            answer.raise_for_status()

        yield call


@contextmanager
def fastmcp_proxy(python: str, port: int) -> Iterator[str]:
    """fastmcp's proxy over the same upstream."""
    command = [python, "-c", _PROXY, sys.executable, *UPSTREAM, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        _await(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(url, timeout=2)
            return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the proxy does not answer")


async def measure(server: JupyterProcess, options: argparse.Namespace) -> dict[str, Any]:
    """Every row."""
    rows: dict[str, Any] = {}
    async with direct() as call:
        rows["direct, stdio"] = await sequential(call, options.seconds)
    async with over_json(server, 4) as call:
        rows["JSON door"] = await sequential(call, options.seconds)
    async with over_mcp(f"{server.url}opspawn/mcp", "echo__echo", server.token) as call:
        rows["/opspawn/mcp"] = await sequential(call, options.seconds)
    if options.fastmcp:
        with fastmcp_proxy(options.fastmcp, 18_765) as url:
            async with over_mcp(url, options.fastmcp_tool) as call:
                rows["fastmcp proxy"] = await sequential(call, options.seconds)
    async with over_json(server, options.callers) as call:
        rows[f"JSON door, {options.callers} callers"] = await concurrent(
            call, options.callers, options.long_seconds
        )
    return rows


def table(rows: dict[str, Any]) -> str:
    """The rows as Markdown, with ratios to the direct call."""
    base = rows["direct, stdio"]["p50_ms"]
    lines = ["| route | p50 ms | ratio | p95 ms | calls/s | errors |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        p50 = row.get("p50_ms")
        shown = [
            f"{p50:.1f}" if p50 else "",
            f"{p50 / base:.1f}" if p50 else "",
            f"{row['p95_ms']:.1f}" if p50 else "",
            f"{row['calls_per_second']:.0f}",
            f"{row['errors']:.0f}" if "errors" in row else "",
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10, help="of each row")
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--long-seconds", type=float, default=60, help="of the many callers")
    parser.add_argument("--fastmcp", metavar="PYTHON", help="a Python that has fastmcp")
    parser.add_argument("--fastmcp-tool", default="echo", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "root")
        root.mkdir()
        rules = {"max_concurrency": 16}
        own = {"echo": {"command": sys.executable, "args": UPSTREAM, "opspawn": rules}}
        arguments = [
            "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}",
            f"--OpspawnExtension.mcp_servers={own!r}",
        ]
        with jupyter_server(root, Path(place, "home"), arguments=arguments) as server:
            server.await_health()
            rows = asyncio.run(measure(server, options))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()
