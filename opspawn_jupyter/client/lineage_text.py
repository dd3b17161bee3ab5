"""What went into a task and its parts, and what came out, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opspawn_jupyter.client.task_text import brief, state_word
from opspawn_jupyter.model.lineage import Dataset, Lineage, RunLineage

_DIGITS = 12


def lineage_text(lineage: Lineage) -> str:
    """Each run with its inputs and outputs; a file that an earlier run made says which."""
    makers: dict[str, str] = {}
    lines: list[str] = []
    for run in lineage.runs:
        lines += _run(run, makers)
        makers.update({one.path: run.step or run.job for one in run.outputs})
    return "\n".join(lines)


def _run(run: RunLineage, makers: Mapping[str, str]) -> Iterator[str]:
    yield f"{run.step or run.job}  {run.kind}  {state_word(run.state)}"
    yield from _values("←", run.parameters)
    for one in run.inputs:
        maker = makers.get(one.path)
        yield f"  ← {_file(one)}{f'  from {maker}' if maker else ''}"
    yield from _values("→", run.values)
    for one in run.outputs:
        yield f"  → {_file(one)}"


def _values(arrow: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield f"  {arrow} {name} = {brief(value)}"


def _file(one: Dataset) -> str:
    return f"{one.path}  sha256:{one.sha256[:_DIGITS]}" if one.sha256 else one.path
