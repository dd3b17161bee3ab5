"""Servers on loopback that speak Anthropic's, Google's and OpenRouter's protocols, as far as an
agent uses them, and say what a test tells them to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.openai_server import answer, completion

#: A text, calls as (name, arguments), or a status to fail with.
Entry = str | int | list[tuple[str, Any]]
#: Makes an answer's body of what the entry says.
Speak = Callable[[Any], Mapping[str, Any]]


class ProviderServer(ThreadingHTTPServer):
    """Gives the script's entries in turn, the last one again and again, in the words of the
    provider; and one of its models no answer at all."""

    daemon_threads = True

    def __init__(self, speak: Speak, script: Sequence[Entry], hanging: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.speak = speak
        self.script = list(script)
        self.hanging = hanging
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.is_over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ProviderServer

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append(request)
        server.paths.append(self.path.partition("?")[0])
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if server.hanging and server.hanging in f"{self.path} {request.get('model')}":
            server.is_over.wait()
            return
        entry = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        if isinstance(entry, int):
            answer(self, entry, {"error": {"message": "as the script says", "type": "x"}})
        else:
            answer(self, 200, server.speak(entry))


def anthropic(entry: Any) -> Mapping[str, Any]:
    """An answer of the Messages API."""
    parts = [{"type": "text", "text": entry}] if isinstance(entry, str) else [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": given}
        for place, (name, given) in enumerate(entry)
    ]  # fmt: skip
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": parts,
        "stop_reason": "end_turn" if isinstance(entry, str) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }


def google(entry: Any) -> Mapping[str, Any]:
    """An answer of ``generateContent``."""
    parts: list[Any] = [{"text": entry}] if isinstance(entry, str) else [
        {"functionCall": {"name": name, "args": given}} for name, given in entry
    ]  # fmt: skip
    return {
        "candidates": [
            {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": 10,
            "totalTokenCount": 110,
        },
        "modelVersion": "gemini-test",
    }


def openrouter(entry: Any) -> Mapping[str, Any]:
    """An answer of OpenRouter, which is OpenAI's with the name of whoever gave it."""
    return {**completion("some/model", entry, 1), "provider": "Somebody"}


@contextmanager
def provider_server(
    speak: Speak, script: Sequence[Entry], *, hanging: str = ""
) -> Iterator[ProviderServer]:
    """Such a server for the length of a block."""
    server = ProviderServer(speak, script, hanging)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
