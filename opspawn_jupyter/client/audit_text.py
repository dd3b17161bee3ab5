"""Many audits as text: a table, and what stands against each notebook."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.client.task_text import columns, duration_line, state_word
from opspawn_jupyter.client.verdict_text import ANSWER_GLYPHS
from opspawn_jupyter.model.audit import Answer, Light
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task

AUDIT_HEADINGS = ("id", "notebook", "headline", *(light.value for light in Light), "time")


def audit_list(tasks: Sequence[Task]) -> str:
    """A line for each audit, and what stands against each notebook below."""
    table = columns(AUDIT_HEADINGS, [audit_row(task) for task in tasks])
    return "\n".join([table, *_complaints(tasks)])


def audit_row(task: Task) -> tuple[str, ...]:
    """The audit's values under ``AUDIT_HEADINGS``."""
    lights = task.outputs.get("lights", {})
    marks = (ANSWER_GLYPHS.get(lights.get(light.value, ""), "") for light in Light)
    headline = str(task.outputs.get("headline", ""))
    if task.state is not State.SUCCESS:
        headline = state_word(task.state)
    notebook = str(task.spec.get("notebook", task.name))
    return (short(task.id), notebook, headline, *marks, duration_line(task))


def _complaints(tasks: Sequence[Task]) -> list[str]:
    lines = []
    for task in tasks:
        lights, reasons = task.outputs.get("lights", {}), task.outputs.get("reasons", {})
        bad = [n for n, answer in lights.items() if answer in (Answer.FAIL, Answer.INCONCLUSIVE)]
        if bad:
            lines.append(f"\n{task.spec.get('notebook', task.name)}")
            lines += [f"  {name.replace('_', ' ')}: {reasons.get(name, '')}" for name in bad]
    return lines
