"""The figures as a person reads them, and as a file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured


def lines(measured: Measured) -> list[str]:
    """One row, over several lines."""
    load = f"load {measured.load_before[0]:.1f} to {measured.load_after[0]:.1f}"
    found = [f"{measured.row}: {measured.what}  ({load}, {measured.seconds:.0f} s)"]
    for name, values in measured.values.items():
        middle = measured.medians[name]
        spread = f"best {_figure(min(values))}, worst {_figure(max(values))}, n={len(values)}"
        found.append(f"  {name:<34} {_figure(middle):>12} {measured.unit:<10} {spread}")
    return found + [f"  {_goal(goal)}" for goal in measured.goals]


def _goal(goal: Mapping[str, Any]) -> str:
    reached = "reached" if goal["is_reached"] else "NOT reached"
    if goal["at_most"] is not None:
        wanted = f"goal at most {goal['at_most']:g}x"
    else:
        wanted = f"goal at least {goal['at_least']:g}x"
    worst = "worst of " if goal["of_worst"] else ""
    return f"{worst}{goal['ours']} : {goal['other']} = {goal['ratio']:.2f}x  ({wanted}: {reached})"


def _figure(value: float) -> str:
    return f"{value:,.4f}" if abs(value) < 1 else f"{value:,.2f}"


def save(results: Sequence[Measured], failures: Mapping[str, str], target: Path) -> None:
    """Everything, with what it was measured on."""
    document = {
        "at": datetime.now(UTC).isoformat(),
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "load": os.getloadavg(),
        },
        "rows": [result.plain() for result in results],
        "failures": dict(failures),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n")
