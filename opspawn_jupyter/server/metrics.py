"""Figures for Prometheus, at ``/metrics`` of the Jupyter server, beside Jupyter's own."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from opspawn_jupyter.model.tool import CallOutcome, ToolCall

_CALLS = Counter(
    "opspawn_tool_calls", "Calls of MCP tools that have ended", ["server", "tool", "outcome"]
)
_SECONDS = Histogram(
    "opspawn_tool_call_seconds",
    "How long calls of MCP tools took",
    ["server"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
#: Callers make names up; what was refused counts under none, so that they cannot fill the memory.
_UNNAMED = ""


def count_call(call: ToolCall) -> None:
    """One call has ended."""
    is_named = call.outcome is not CallOutcome.REFUSED
    server, tool = (call.server, call.tool) if is_named else (_UNNAMED, _UNNAMED)
    _CALLS.labels(server, tool, call.outcome.value).inc()
    _SECONDS.labels(server).observe(call.duration_seconds)
