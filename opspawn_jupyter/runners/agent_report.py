"""The end of an agent's notebook: its answer, and what it took to get it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opspawn_jupyter.model.conversation import Usage


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a run used up."""

    usage: Usage
    models: tuple[str, ...]
    steps: int
    #: Digest of the tape's bytes.
    tape_sha256: str | None


def answer_text(answer: Any) -> str:
    """The answer as the last cell's text."""
    if isinstance(answer, str):
        return f"### Answer\n\n{answer}"
    return f"### Answer\n\n```json\n{json.dumps(answer, indent=2, ensure_ascii=False)}\n```"


def answer_values(answer: Any) -> Mapping[str, Any]:
    """The answer as the task's outputs: by name, or as ``answer``."""
    return answer if isinstance(answer, dict) else {"answer": answer}


def totals_text(totals: Totals) -> str:
    """The totals as a line for people."""
    usage = totals.usage
    cost = "unknown" if usage.cost is None else f"${usage.cost:.4f}"
    return (
        f"*{totals.steps} steps, {usage.tool_calls} tool calls, "
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, cost {cost}; "
        f"{', '.join(totals.models) or 'no model'}.*"
    )
