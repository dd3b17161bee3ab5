"""A server on loopback that speaks OpenAI's protocol and says what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: A text; calls as (name, arguments), where arguments that are a text are sent as they are; or a
#: status to fail with.
Entry = str | int | list[tuple[str, Any]]


class OpenAIServer(ThreadingHTTPServer):
    """Gives the script's entries in turn, one for each request."""

    daemon_threads = True

    def __init__(self, script: Sequence[Entry], *, is_by_turn: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = list(script)
        self.is_by_turn = is_by_turn
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()

    def entry(self, body: dict[str, Any]) -> Entry:
        """What to answer; by turn, as often as the same turn is asked for."""
        self.requests.append(body)
        if self.is_by_turn:
            return self.script[sum(said["role"] == "assistant" for said in body["messages"])]
        return self.script.pop(0) if self.script else 500

    @property
    def url(self) -> str:
        """What clients are given as base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.keys.append(self.headers["Authorization"])
            entry = self.server.entry(body)
            number = 1 + sum(said["role"] == "assistant" for said in body["messages"])
        if isinstance(entry, int):
            answer(self, entry, {"error": {"message": "as the script says"}})
        else:
            answer(self, 200, completion(body["model"], entry, number))


def answer(handler: BaseHTTPRequestHandler, status: int, content: Mapping[str, Any]) -> None:
    """Send JSON."""
    data = json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def completion(model: str, entry: Any, number: int) -> dict[str, Any]:
    """An answer of the Chat Completions API."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(entry, str):
        message["content"] = entry
    else:
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{place}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for place, (name, given) in enumerate(entry)
        ]
    finish = "stop" if isinstance(entry, str) else "tool_calls"
    return {
        "id": f"reply-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


@contextmanager
def openai_server(script: Sequence[Entry], *, is_by_turn: bool = False) -> Iterator[OpenAIServer]:
    """Such a server for the length of a block."""
    server = OpenAIServer(script, is_by_turn=is_by_turn)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
