"""An audit's verdict as text: the headline and its lights."""

from __future__ import annotations

from collections.abc import Mapping

from opspawn_jupyter.model.audit import Answer, Light
from opspawn_jupyter.model.task import Task

ANSWER_GLYPHS: Mapping[str, str] = {
    Answer.PASS: "✓",
    Answer.FAIL: "✗",
    Answer.INCONCLUSIVE: "?",
    Answer.NOT_APPLICABLE: "-",
}


def verdict_lines(task: Task) -> list[str]:
    """The headline and a line for each light; none while there is no verdict."""
    if task.kind != "audit" or "headline" not in task.outputs:
        return []
    lights, reasons = task.outputs["lights"], task.outputs.get("reasons", {})
    width = max(map(len, Light))
    return [
        str(task.outputs["headline"]),
        *(
            f"{ANSWER_GLYPHS[answer]} {name.replace('_', ' '):<{width}}  {reasons.get(name, '')}"
            for name, answer in lights.items()
        ),
    ]
