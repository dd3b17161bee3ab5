"""What the model is shown of a cell's outputs: text, and never too much of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: About four thousand tokens.
LONGEST_RESULT = 16_000
_TRACEBACK_LINES = 12


def observed(outputs: Iterable[Mapping[str, Any]]) -> str:
    """The outputs as text, cut to what a model can use."""
    text = "\n".join(filter(None, (_text(output) for output in outputs))).strip()
    return cut(text) or "(no output)"


def cut(text: str, longest: int = LONGEST_RESULT) -> str:
    """The text's beginning and end; in between, how much is missing and what to do about it."""
    if len(text) <= longest:
        return text
    half = longest // 2
    left_out = len(text) - 2 * half
    mark = (
        f"[… {left_out:,} characters left out here; print less, or keep the value in a variable "
        "and look at parts of it …]"
    )
    return f"{text[:half]}\n{mark}\n{text[-half:]}"


def _text(output: Mapping[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return str(output["text"]).rstrip("\n")
    if kind == "error":
        lines = "\n".join(output.get("traceback", [])).splitlines()[-_TRACEBACK_LINES:]
        return _ANSI.sub("", "\n".join(lines)) or f"{output['ename']}: {output['evalue']}"
    data = output.get("data", {})
    if "text/plain" in data:
        return str(data["text/plain"])
    return f"({', '.join(data)})" if data else ""
