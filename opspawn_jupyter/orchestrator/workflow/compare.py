"""Two runs of a workflow beside each other: parameters, outputs, times, sources."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.model.workflow import SOURCE_NAME
from opspawn_jupyter.model.workflow_view import Comparison, StepDifference
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow.history import recall
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress, present_state

_MOST_LINES = 200


async def compare(o: Orchestration, reference: str, other: str) -> Comparison:
    """What the second run did differently from the first. Raises as ``recall`` does."""
    first, second = await recall(o, reference), await recall(o, other)
    return await asyncio.to_thread(_compare, o.settings.root_directory, first, second)


def _compare(root: Path, first: Progress, second: Progress) -> Comparison:
    a, b = first.task, second.task
    names = dict.fromkeys([*second.steps, *first.steps])
    steps = (_step(root, name, first.steps.get(name), second.steps.get(name)) for name in names)
    texts = (_text(root / task.run_directory / SOURCE_NAME) for task in (a, b))
    return Comparison(
        ids=(a.id, b.id),
        names=(a.name, b.name),
        states=(a.state.value, b.state.value),
        durations_seconds=(a.duration_seconds, b.duration_seconds),
        parameters=_different(a.spec.get("parameters", {}), b.spec.get("parameters", {})),
        outputs=_different(a.outputs, b.outputs),
        source=_diff(*texts),
        steps=tuple(steps),
    )


def _step(
    root: Path, name: str, first: StepProgress | None, second: StepProgress | None
) -> StepDifference:
    sides = [_side(root, one) for one in (first, second)]
    (state, time, values, outputs, code), (state2, time2, values2, outputs2, code2) = sides
    return StepDifference(
        step=name,
        states=(state, state2),
        durations_seconds=(time, time2),
        parameters=_different(values, values2),
        outputs=_different(outputs, outputs2),
        source=_diff(code, code2) if code and code2 else (),
    )


def _side(root: Path, step: StepProgress | None) -> tuple[str, Any, Any, Any, str]:
    if step is None:
        return "absent", None, {}, {}, ""
    task = next(iter(step.tasks.values()), None)
    if task is None:
        return present_state(step).value, None, {}, {}, ""
    values = task.spec.get("parameters", {})
    code = _code(root / task.run_directory / "input.ipynb")
    return present_state(step).value, task.duration_seconds, values, step.upstream.outputs, code


def _different(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys([*first, *second])
    pairs = {name: (first.get(name), second.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _diff(first: str, second: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(
        first.splitlines(), second.splitlines(), "first", "second", lineterm=""
    )
    return tuple(line for line, _ in zip(lines, range(_MOST_LINES), strict=False))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _code(path: Path) -> str:
    """The notebook's code, cell by cell."""
    try:
        cells = json.loads(path.read_bytes())["cells"]
        codes = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "\n\n".join(code if isinstance(code, str) else "".join(code) for code in codes)
