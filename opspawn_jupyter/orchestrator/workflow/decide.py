"""Which steps of a workflow begin now, and which will not run.

Nothing is done here: what follows from how things stand is given in batches, and each step and
each item is given once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opspawn_jupyter.model import template
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.trigger import Verdict
from opspawn_jupyter.orchestrator.workflow import scope
from opspawn_jupyter.orchestrator.workflow.place import Place
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress

_MOST_ITEMS = 10_000
#: Steps that are begun or skipped together.
_BATCH = 50


@dataclass
class Batch:
    """What is to be done next."""

    begun: list[Place] = field(default_factory=list)
    #: With the reason.
    skipped: list[tuple[Place, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.begun) + len(self.skipped)


class Decider:
    """Decides for one run."""

    def __init__(self, progress: Progress, root: Path) -> None:
        self._progress = progress
        self._root = root

    def next_batch(self) -> Batch:
        """What begins or is skipped; empty where nothing follows any more."""
        batch = Batch()
        for step, verdict in self._progress.decisions():
            if verdict is Verdict.RUN and not self._has_room(batch):
                self._progress.postpone(step)
                break
            self._sort(step, verdict, batch)
            if len(batch) >= _BATCH:
                break
        if self._progress.stop_reason is None:
            self._add_items(batch)
        else:
            self._cut_items(batch, self._progress.stop_reason)
        return batch

    def items(self, step: StepProgress) -> list[Any]:
        """What the step makes a task of each of. Raises ``TemplateError``."""
        asked = step.step.for_each.items if step.step.for_each else []
        return scope.items_of(template.resolve(asked, self._names(step)), _MOST_ITEMS)

    def ends_all(self, step: StepProgress) -> bool:
        """Whether the workflow ends after the step, early and with success. Raises
        ``TemplateError``."""
        if step.step.end_when is None or step.state is not State.SUCCESS:
            return False
        names = scope.scope(self._progress, step.step.id, self._root, own=True)
        return template.is_true(step.step.end_when, names)

    def _sort(self, step: StepProgress, verdict: Verdict, batch: Batch) -> None:
        """Where a step whose turn has come belongs."""
        step.is_decided = True
        place = Place(progress=self._progress, step=step.step)
        if verdict is Verdict.SKIP:
            batch.skipped.append((place, self._progress.stop_reason or self._why(step)))
            return
        try:
            if step.step.when is not None and not self._holds(step, step.step.when):
                batch.skipped.append((place, f"its condition does not hold: {step.step.when}"))
            elif step.step.for_each is None:
                batch.begun.append(place)
            else:
                self._progress.expand(step, self.items(step))
        except TemplateError as problem:
            batch.begun.append(replace(place, fault=str(problem)))

    def _add_items(self, batch: Batch) -> None:
        """Items whose task may begin now."""
        for step in list(self._progress.expanding.values()):
            while step.may_submit and len(batch) < _BATCH and self._has_room(batch):
                batch.begun.append(self._next_item(step))
            if not step.has_more:
                self._progress.expanding.pop(step.step.id, None)

    def _cut_items(self, batch: Batch, reason: str) -> None:
        """Items that will not run; the first of them says so for all."""
        for step in list(self._progress.expanding.values()):
            rest = len(step.items or ()) - step.submitted
            place = self._next_item(step)
            self._progress.cut(step)
            more = f"; so were {rest - 1} items after it" if rest > 1 else ""
            batch.skipped.append((place, reason + more))

    def _next_item(self, step: StepProgress) -> Place:
        number = step.submitted
        step.submitted += 1
        step.active.add(number)  # so that its limit counts it at once
        item = (step.items or ())[number]
        return Place(progress=self._progress, step=step.step, number=number, item=item)

    def _has_room(self, batch: Batch) -> bool:
        most = self._progress.workflow.max_parallel
        return most is None or len(self._progress.unfinished) + len(batch.begun) < most

    def _holds(self, step: StepProgress, condition: str) -> bool:
        return template.is_true(condition, self._names(step))

    def _names(self, step: StepProgress) -> dict[str, Any]:
        return scope.scope(self._progress, step.step.id, self._root)

    def _why(self, step: StepProgress) -> str:
        """Why the ends of the steps before do not let a step run."""
        steps = self._progress.steps
        states = [(name, steps[name].state) for name in step.step.depends_on]
        ended = [(name, state) for name, state in states if state is not None]
        bad = [(name, state) for name, state in ended if state is not State.SUCCESS] or ended
        said = ", ".join(f"step {name!r} is {state.value}" for name, state in bad[:5])
        return f"{said}; its trigger rule is {step.step.trigger_rule.value}"
