"""Spans of a run in OpenTelemetry's words for generative AI (semantic conventions, GenAI spans):
``invoke_agent`` around ``chat`` and ``execute_tool``.

An option: nothing is imported or recorded unless ``OTEL_TRACES_EXPORTER`` says where to, in the
environment of the Jupyter server: ``otlp`` (with OpenTelemetry's own variables for the address),
``console`` (into ``run.log``), or ``file`` (``traces.jsonl`` in the run directory, one export in
OTLP's JSON a line). What was said is in no span. What a run takes from its tape is not done again
and has none either.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from opspawn_jupyter.agentkit.waiting import Waits
from opspawn_jupyter.model.conversation import Reply

EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
FILE_NAME = "traces.jsonl"
_FLUSH_MILLISECONDS = 5_000
_log = logging.getLogger(__name__)

Facts = Mapping[str, Any]
#: Opens a span of an operation on something, with what is known; the block may tell it more.
Trace = Callable[[str, str, Facts], AbstractContextManager[Callable[[Facts], None]]]


def chat_facts(reply: Reply) -> Facts:
    """What a span tells of a model's answer."""
    return {
        "gen_ai.provider.name": reply.model.partition(":")[0],
        "gen_ai.response.model": reply.model.partition(":")[2],
        "gen_ai.usage.input_tokens": reply.usage.input_tokens,
        "gen_ai.usage.output_tokens": reply.usage.output_tokens,
    }


@contextmanager
def untraced(operation: str, subject: str, facts: Facts) -> Iterator[Callable[[Facts], None]]:  # noqa: ARG001
    """A ``Trace`` of which nothing is kept."""
    yield lambda _: None


@contextmanager
def tracing(task_id: str, directory: Path) -> Iterator[Trace]:
    """How the run of this task is traced, if at all; at the end everything is sent."""
    kind = os.environ.get(EXPORTER_VARIABLE, "none")
    provider = None if kind in ("none", "") else _provider(kind, directory)
    if provider is None:
        yield untraced
        return
    try:
        yield _traced(provider.get_tracer("opspawn_jupyter"), task_id)
    finally:
        provider.force_flush(_FLUSH_MILLISECONDS)
        provider.shutdown()


def _traced(tracer: Any, task_id: str) -> Trace:  # of a library that need not be installed
    from opentelemetry.trace import StatusCode  # it is there, since a tracer is

    @contextmanager
    def trace(operation: str, subject: str, facts: Facts) -> Iterator[Callable[[Facts], None]]:
        known = {"gen_ai.operation.name": operation, "gen_ai.conversation.id": task_id, **facts}
        # What an error says may hold what was said, so only its name is told.
        with tracer.start_as_current_span(
            f"{operation} {subject}",
            attributes=known,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span.set_attributes
            except Waits:
                span.set_attribute("opspawn.waits", True)
                raise
            except Exception as failure:
                name = type(failure).__name__
                span.set_attribute("error.type", name)
                span.set_status(StatusCode.ERROR, name)
                raise

    return trace


def _provider(kind: str, directory: Path) -> Any:  # as above
    try:
        from opentelemetry.sdk.resources import Resource  # an extra, and heavy
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter(kind, directory)
    except ImportError as missing:
        _log.warning("run is not traced reason=%s; install opspawn-jupyter[otel]", missing)
        return None
    service = os.environ.get("OTEL_SERVICE_NAME", "opspawn")
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(kind: str, directory: Path) -> Any:  # as above
    if kind == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    if kind == "file":
        return _file_exporter(directory / FILE_NAME)
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    if kind != "console":
        _log.warning("unknown exporter of traces kind=%s; the console is used", kind)
    return ConsoleSpanExporter()


def _file_exporter(path: Path) -> Any:  # as above
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class FileExporter(SpanExporter):
        """Appends to the run directory."""

        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            line = json.dumps(MessageToDict(encode_spans(spans)))
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            return SpanExportResult.SUCCESS

    return FileExporter()
