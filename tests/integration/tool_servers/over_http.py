"""An MCP server over HTTP, in a thread, that keeps what it was sent and can have bad habits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {}}}
_GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "http", "version": "1"},
}
_RESULTS: dict[str, Any] = {
    "initialize": _GREETING,
    "tools/list": {"tools": [_TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "answered"}]},
}


class Upstream:
    """Its address, and the headers of each request."""

    def __init__(self, habit: str, elsewhere: str) -> None:
        self.habit = habit
        self.elsewhere = elsewhere
        self.url = ""
        self.headers: list[dict[str, str]] = []


@contextmanager
def over_http(
    habit: str = "none", elsewhere: str = "http://127.0.0.1:1/elsewhere"
) -> Iterator[Upstream]:
    """The server, listening for the length of a block. ``elsewhere`` is where it redirects to."""
    upstream = Upstream(habit, elsewhere)
    handler = type("Handler", (_Handler,), {"upstream": upstream})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    upstream.url = f"http://127.0.0.1:{server.server_port}/mcp"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    upstream: Upstream

    def do_GET(self) -> None:
        self.upstream.headers.append({k.lower(): v for k, v in self.headers.items()})
        if self.upstream.habit == "redirects logins":
            self._end(302, Location=self.upstream.elsewhere)
        else:
            self._end(405)

    def do_POST(self) -> None:
        self.upstream.headers.append({k.lower(): v for k, v in self.headers.items()})
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = request.get("method")
        if self.upstream.habit == "redirect":
            self._end(307, Location=self.upstream.elsewhere)
        elif self.upstream.habit == "redirects logins":
            self._end(401 if self.path == "/mcp" else 404)
        elif self.upstream.habit == "flood" and method == "tools/call":
            self._flood()
        elif "id" not in request:
            self._end(202)
        else:
            self._answer(request["id"], _RESULTS.get(method))

    def _answer(self, request_id: Any, result: Any) -> None:
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id}
        refusal = {"code": -32601, "message": "Method not found"}
        said |= {"error": refusal} if result is None else {"result": result}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _flood(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65_536)
        except OSError:
            self.close_connection = True

    def _end(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""
