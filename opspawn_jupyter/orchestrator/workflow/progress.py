"""Where one workflow stands, in memory: made from its graph and its children's tasks.

Everything here follows from the tasks in the store, so it is made anew after a restart. Each end
of a step costs what depends on it, not the whole graph.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opspawn_jupyter.model import graph
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.trigger import Ends, Verdict, verdict
from opspawn_jupyter.model.workflow import Step, Upstream, Workflow

_ITEM = re.compile(r"(.+)\[(\d+)\]")


def step_name(step_id: str, item: int | None) -> str:
    """``Task.step`` of a step, or of one item of it."""
    return step_id if item is None else f"{step_id}[{item}]"


def split_name(name: str) -> tuple[str, int | None]:
    """The step's id and the item in a ``Task.step``."""
    found = _ITEM.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)


@dataclass
class StepProgress:
    """One step."""

    step: Step
    ends: Ends
    #: Its tasks by item; by None where it has no items.
    tasks: dict[int | None, Task] = field(default_factory=dict)
    #: Values of ``for_each``, once they are known.
    items: Sequence[Any] | None = None
    #: How many items were given a task.
    submitted: int = 0
    is_decided: bool = False
    #: Its end, once it has ended.
    state: State | None = None

    #: Items, or None, whose task is under way.
    active: set[int | None] = field(default_factory=set)

    def put(self, item: int | None, task: Task) -> None:
        """Take in how one of its tasks stands."""
        self.tasks[item] = task
        (self.active.discard if task.state.is_final else self.active.add)(item)
        self.is_decided = True

    @property
    def has_more(self) -> bool:
        """Whether items wait for their task."""
        return self.items is not None and self.submitted < len(self.items)

    @property
    def may_submit(self) -> bool:
        """Whether another item's task may begin."""
        most = self.step.for_each.max_parallel if self.step.for_each else None
        return self.has_more and (most is None or len(self.active) < most)

    def settle(self) -> bool:
        """Whether it has ended by now, and had not before."""
        if self.state is not None or not self.is_decided or self.has_more or self.active:
            return False
        states = [task.state for task in self.tasks.values()]
        bad = [state for state in states if state not in (State.SUCCESS, State.SKIPPED)]
        # An item that was skipped stands for all that the end of the workflow cut off.
        rest = State.SKIPPED if State.SKIPPED in states else State.SUCCESS
        self.state = bad[0] if bad else rest
        return True

    @property
    def upstream(self) -> Upstream:
        """What the steps after it see of it."""
        if self.items is None:
            task = self.tasks.get(None)
            return _upstream(task) if task else _absent(self.state)
        items = tuple(_upstream(self.tasks[number]) for number in sorted(self._numbers))
        names = dict.fromkeys(name for item in items for name in item.outputs)
        outputs = {name: [item.outputs.get(name) for item in items] for name in names}
        absent = _absent(self.state)
        return Upstream(
            task_id=None, state=absent.state, run_directory=None, outputs=outputs, items=items
        )

    @property
    def _numbers(self) -> Iterator[int]:
        return (number for number in self.tasks if number is not None)


def _upstream(task: Task) -> Upstream:
    return Upstream(
        task_id=task.id,
        state=task.state,
        run_directory=None if task.state is State.SKIPPED else task.run_directory,
        outputs=task.outputs,
        reused_from=task.reused_from,
    )


def _absent(state: State | None) -> Upstream:
    return Upstream(task_id=None, state=state or State.PENDING, run_directory=None)


def present_state(step: StepProgress) -> State:
    """The state that says most about the step now."""
    if step.state is not None:
        return step.state
    states = {task.state for task in step.tasks.values()}
    present = (State.RUNNING, State.WAITING, State.RETRYING, State.QUEUED)
    found = next((state for state in present if state in states), None)
    return found or (State.RUNNING if step.is_decided else State.PENDING)


class Progress:
    """All steps of one run."""

    def __init__(self, task: Task, workflow: Workflow) -> None:
        #: The workflow's own task.
        self.task = task
        self.workflow = workflow
        self.steps = {
            step.id: StepProgress(step, Ends(total=len(step.depends_on))) for step in workflow.steps
        }
        self._edges = {step.id: step.depends_on for step in workflow.steps}
        self._after = graph.dependents(self._edges)
        #: Steps to look at: something before them has ended, or nothing is before them.
        self._due: deque[str] = deque(self.steps)
        self._ended = 0
        #: Children under way, by id.
        self._active: dict[str, Task] = {}
        #: Those of them that wait for a person's answer.
        self.asking: set[str] = set()
        #: Steps whose items get their tasks one by one.
        self.expanding: dict[str, StepProgress] = {}
        #: Where a step's pinned notebook lies, by its digest, for others that have the same.
        self.sources: dict[str, Path] = {}
        #: Why nothing more is begun.
        self.stop_reason: str | None = None

    def note(self, child: Task) -> StepProgress | None:
        """Take in how a child stands; its step where that has ended with this."""
        step_id, item = split_name(child.step or "")
        progress = self.steps.get(step_id)
        if progress is None:
            return None
        known = progress.tasks.get(item)
        if known is not None and known.seq > child.seq:
            return None
        self.put(progress, child)
        return self.settle(progress)

    def put(self, progress: StepProgress, child: Task) -> None:
        """Take in how a child of the step stands, without asking what follows."""
        progress.put(split_name(child.step or "")[1], child)
        if child.state.is_final:
            self._active.pop(child.id, None)
        else:
            self._active[child.id] = child
        asks = child.state is State.WAITING and child.question is not None
        (self.asking.add if asks else self.asking.discard)(child.id)

    def is_news(self, child: Task) -> bool:
        """Whether the child was not known to have ended."""
        step_id, item = split_name(child.step or "")
        known = self.steps[step_id].tasks.get(item) if step_id in self.steps else None
        return known is None or not known.state.is_final

    def settle(self, progress: StepProgress) -> StepProgress | None:
        """Tell those after the step, where it has ended."""
        if not progress.settle() or progress.state is None:
            return None
        self._ended += 1
        for dependent in self._after[progress.step.id]:
            self.steps[dependent].ends.add(progress.state)
            self._due.append(dependent)
        return progress

    def decisions(self) -> Iterator[tuple[StepProgress, Verdict]]:
        """Steps whose turn has come, and those that will not run. Each is given once; the caller
        acts on it, or gives it back with ``postpone``."""
        while self._due:
            progress = self.steps[self._due.popleft()]
            if progress.is_decided:
                continue
            if self.stop_reason is not None:
                yield progress, Verdict.SKIP
                continue
            found = verdict(progress.step.trigger_rule, progress.ends)
            if found is not Verdict.WAIT:
                yield progress, found

    def postpone(self, progress: StepProgress) -> None:
        """There is no room for it now."""
        self._due.appendleft(progress.step.id)

    def stop(self, reason: str) -> None:
        """Begin nothing more."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._due.extend(self.steps)

    @property
    def order(self) -> list[str]:
        """The steps, each after those that it depends on."""
        return [name for level in graph.levels(self._edges) for name in level]

    def expand(self, progress: StepProgress, items: Sequence[Any]) -> StepProgress | None:
        """The items of the step are known; the step where it has ended, for want of any."""
        progress.items = items
        progress.submitted = max((n or 0 for n in progress.tasks), default=-1) + 1
        if progress.has_more:
            self.expanding[progress.step.id] = progress
        return self.settle(progress)

    def cut(self, progress: StepProgress) -> None:
        """No more of its items get a task."""
        progress.items = (progress.items or ())[: progress.submitted]
        self.expanding.pop(progress.step.id, None)

    @property
    def unfinished(self) -> list[Task]:
        """Children under way."""
        return list(self._active.values())

    @property
    def is_over(self) -> bool:
        """Every step has ended."""
        return self._ended == len(self.steps)

    @property
    def ended(self) -> int:
        """How many steps have."""
        return self._ended

    def before(self, step_id: str, most: int) -> list[str]:
        """Steps that it depends on, directly first, then the nearest others."""
        return graph.reachable([step_id], self._edges, most)
