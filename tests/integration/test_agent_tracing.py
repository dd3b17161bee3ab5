"""Spans reach a real collector: OTLP over HTTP, sent by OpenTelemetry's own exporter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from opspawn_jupyter.agentkit.tracing import EXPORTER_VARIABLE, tracing


class Collector(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, ExportTraceServiceRequest]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv(EXPORTER_VARIABLE, "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_spans_reach_a_collector(collector: Collector, tmp_path: Path) -> None:
    """With their operation, their run, and of an error its name and not its words."""
    with tracing("task-1", tmp_path) as trace:
        with trace("chat", "a-model", {}) as tell:
            tell({"gen_ai.usage.input_tokens": 7})
        with pytest.raises(ValueError, match="secret"), trace("execute_tool", "a-tool", {}):
            raise ValueError("the secret words")

    (path, request), *rest = collector.received
    spans = request.resource_spans[0].scope_spans[0].spans
    known = {pair.key: pair.value for pair in spans[0].attributes}
    assert (path, rest) == ("/v1/traces", [])
    assert [span.name for span in spans] == ["chat a-model", "execute_tool a-tool"]
    assert known["gen_ai.conversation.id"].string_value == "task-1"
    assert known["gen_ai.usage.input_tokens"].int_value == 7
    assert b"secret" not in request.SerializeToString()
    assert b"ValueError" in request.SerializeToString()
