"""Move one workflow on, from its start to its end.

``drive`` is told which of the workflow's tasks have moved, looks at them in the store, and does
what follows. All that it knows comes from the store, so a server that is restarted at whatever
moment begins with ``load`` and goes on: a step that has a task is never begun again.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from opspawn_jupyter.errors import IllegalTransition, Unavailable
from opspawn_jupyter.model import clock, template, wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task, TaskQuery
from opspawn_jupyter.model.template import TemplateError
from opspawn_jupyter.model.trigger import Verdict
from opspawn_jupyter.model.workflow import APPROVAL, GRAPH_NAME, Workflow
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import cache, children, scope
from opspawn_jupyter.orchestrator.workflow.children import Place
from opspawn_jupyter.orchestrator.workflow.files import RunFiles
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress, split_name

logger = logging.getLogger(__name__)

_MOST_ITEMS = 10_000
#: Steps that are begun or skipped together.
_BATCH = 50
_PAGE = 500
#: Until a store that could not be written is tried again.
_PATIENCE_SECONDS = 2.0


class Inbox(Protocol):
    """Where a workflow hears of its tasks."""

    async def take(self, timeout_seconds: float | None) -> frozenset[str]:
        """Ids of the tasks that have moved, the workflow's own among them; empty where none has
        within the time. Nothing is lost between two calls."""


async def drive(o: Orchestration, task_id: str, inbox: Inbox) -> None:
    """Move the workflow on until it has ended."""
    run: _Run | None = None
    while run is None or not run.is_over:
        try:
            if run is None:
                run = await _Run.load(o, task_id)
                if run is None:
                    return
            await run.advance()
            if not run.is_over:
                await run.hear(await inbox.take(run.patience_seconds))
        except Unavailable as problem:
            logger.warning("workflow waits for the store task_id=%s reason=%s", task_id, problem)
            run = None  # what was done and what was not, the store knows
            await asyncio.sleep(_PATIENCE_SECONDS)


class _Run:
    """One workflow under way."""

    def __init__(self, o: Orchestration, progress: Progress) -> None:
        self._o = o
        self._progress = progress
        self._files = RunFiles(o.settings.root_directory, progress.task)
        self._has_news = True
        self._cancelled: set[str] = set()
        self._fault: Problem | None = None
        self.is_over = False

    @classmethod
    async def load(cls, o: Orchestration, task_id: str) -> _Run | None:
        """The run as the store has it; None where there is nothing to move."""
        task = await o.store.task(task_id)
        if task is None or task.state not in (State.QUEUED, State.RUNNING):
            return None
        path = o.settings.root_directory / task.run_directory / GRAPH_NAME
        try:
            graph = await asyncio.to_thread(_graph, path)
        except (OSError, ValueError, KeyError, TypeError) as failure:
            await _abort(o, task, f"its pinned graph cannot be read: {failure}")
            return None
        if task.state is State.QUEUED:
            await o.record(Draft(task_id=task.id, type=EventType.STARTED, attempt=task.attempt + 1))
            task = await o.store.task(task_id) or task
        run = cls(o, Progress(task, graph))
        await run._restore()
        return run

    @property
    def patience_seconds(self) -> float | None:
        """Until something is to be done though nothing moves: the time limit, or a summary that
        was put off."""
        deadline = self._deadline
        if self._has_news:
            return 1.0
        return max(0.0, (deadline - clock.now()).total_seconds()) if deadline else None

    async def hear(self, moved: Iterable[str]) -> None:
        """Look at the tasks that have moved."""
        for task_id in moved:
            task = await self._o.store.task(task_id)
            if task is not None and task_id == self._progress.task.id:
                self._progress.task = task
            elif task is not None:
                await self._note(task)

    async def advance(self) -> None:
        """Do whatever follows from how things stand."""
        if self._progress.task.state.is_final:
            self.is_over = True
            return
        await self._mind_the_end()
        await self._decide()
        await self._write()
        if self._progress.is_over and not self._progress.unfinished:
            await self._conclude()

    async def _restore(self) -> None:
        """What was done before this process."""
        progress = self._progress
        found = await children_of(self._o, progress.task.id)
        if not found:
            steps = f"{len(progress.steps)} steps"
            await asyncio.to_thread(self._files.log, f"workflow started: {steps}")
        by_step: dict[str, list[Task]] = {}
        for child in found:
            by_step.setdefault(split_name(child.step or "")[0], []).append(child)
        # In the order of the graph: the items of a step follow from what came before it.
        for step_id in progress.order:
            step = progress.steps[step_id]
            for child in by_step.get(step_id, ()):
                progress.put(step, child)
                if child.state is State.QUEUED and child.kind == APPROVAL:
                    await children.approve(self._o, child)
            if step.tasks and None not in step.tasks:
                await self._settled(progress.expand(step, self._items(step)))
            elif step.tasks:
                await self._settled(progress.settle(step))

    async def _note(self, child: Task) -> None:
        is_news = self._progress.is_news(child)
        settled = self._progress.note(child)
        if child.state.is_final:
            self._has_news = True
            await cache.keep(self._o, child)
            if is_news:
                await asyncio.to_thread(self._files.log, _end_line(child))
        elif child.state is State.QUEUED and child.kind == APPROVAL:
            await children.approve(self._o, child)
        await self._settled(settled)

    async def _settled(self, step: StepProgress | None) -> None:
        """A step has ended: that may end the workflow."""
        if step is None or step.step.end_when is None or step.state is not State.SUCCESS:
            return
        root = self._o.settings.root_directory
        try:
            names = scope.scope(self._progress, step.step.id, root, own=True)
            if template.is_true(step.step.end_when, names):
                self._progress.stop(f"the workflow ended early after step {step.step.id!r}")
        except TemplateError as problem:
            self._fault = Problem(name="StepInvalid", message=f"end_when: {problem}")
            self._progress.stop(f"end_when of step {step.step.id!r} has no value")

    async def _mind_the_end(self) -> None:
        """A cancellation or the time limit ends what is under way."""
        task, deadline = self._progress.task, self._deadline
        if task.cancel_requested:
            self._progress.stop("the workflow was cancelled")
        elif deadline is not None and clock.now() >= deadline:
            self._progress.stop("the workflow ran into its time limit")
        else:
            return
        for child in self._progress.unfinished:
            if child.id not in self._cancelled:
                self._cancelled.add(child.id)
                await _end(self._o, child, task)

    @property
    def _deadline(self) -> datetime | None:
        task = self._progress.task
        limit = task.policy.timeout_seconds
        if limit is None or task.started_at is None or self._cancelled:
            return None
        return task.started_at + timedelta(seconds=limit)

    async def _decide(self) -> None:
        """Begin what may begin, skip what will not run, until nothing follows any more."""
        while True:
            skipped: list[tuple[Place, str]] = []
            begun: list[Place] = []
            for step, verdict in self._progress.decisions():
                if verdict is Verdict.RUN and not self._room(len(begun)):
                    self._progress.postpone(step)
                    break
                self._sort(step, verdict, begun, skipped)
                if len(begun) + len(skipped) >= _BATCH:
                    break
            begun += self._more_items(len(begun))
            if not begun and not skipped:
                return
            await self._carry_out(begun, skipped)

    def _sort(
        self,
        step: StepProgress,
        verdict: Verdict,
        begun: list[Place],
        skipped: list[tuple[Place, str]],
    ) -> None:
        """Where a step whose turn has come belongs."""
        step.is_decided = True
        place = Place(progress=self._progress, step=step.step)
        if verdict is Verdict.SKIP:
            skipped.append((place, self._progress.stop_reason or _why(self._progress, step)))
            return
        try:
            if step.step.when is not None and not self._holds(step):
                skipped.append((place, f"its condition does not hold: {step.step.when}"))
            elif step.step.for_each is None:
                begun.append(place)
            else:
                self._progress.expand(step, self._items(step))
        except TemplateError as problem:
            begun.append(replace(place, fault=str(problem)))

    def _holds(self, step: StepProgress) -> bool:
        root = self._o.settings.root_directory
        names = scope.scope(self._progress, step.step.id, root)
        return template.is_true(step.step.when or "", names)

    def _items(self, step: StepProgress) -> list[Any]:
        root = self._o.settings.root_directory
        names = scope.scope(self._progress, step.step.id, root)
        asked = step.step.for_each.items if step.step.for_each else []
        return scope.items_of(template.resolve(asked, names), _MOST_ITEMS)

    def _more_items(self, begun: int) -> list[Place]:
        """Items whose task may begin now."""
        found: list[Place] = []
        for step in list(self._progress.expanding.values()):
            if self._progress.stop_reason is not None:
                self._progress.cut(step)
            while step.may_submit and len(found) < _BATCH and self._room(begun + len(found)):
                found.append(self._next_item(step))
            if not step.has_more:
                self._progress.expanding.pop(step.step.id, None)
        return found

    def _next_item(self, step: StepProgress) -> Place:
        number = step.submitted
        step.submitted += 1
        step.active.add(number)  # so that its limit counts it at once
        item = (step.items or ())[number]
        return Place(progress=self._progress, step=step.step, number=number, item=item)

    def _room(self, more: int) -> bool:
        most = self._progress.workflow.max_parallel
        return most is None or len(self._progress.unfinished) + more < most

    async def _carry_out(self, begun: list[Place], skipped: list[tuple[Place, str]]) -> None:
        made = await asyncio.gather(*(self._begin(place) for place in begun))
        if skipped:
            made += await children.skip(self._o, skipped)
        for child in made:
            await self._note(child)
        await asyncio.to_thread(self._tell_files, made)

    async def _begin(self, place: Place) -> Task:
        if place.fault is not None:
            return await children.fail(self._o, place, place.fault)
        return await children.begin(self._o, place)

    def _tell_files(self, made: list[Task]) -> None:
        for child in made:
            self._files.link(child)
        self._files.log(*(_begin_line(child) for child in made if not child.state.is_final))

    async def _write(self) -> None:
        """Summary and progress, where there is something new and it is their turn."""
        if not self._has_news:
            return
        written = await asyncio.to_thread(self._files.summarise, self._progress)
        if written:
            self._has_news = False
            await self._o.record(self._standing())

    def _standing(self) -> Draft:
        """How many of the steps have ended."""
        task, ended, total = self._progress.task, self._progress.ended, len(self._progress.steps)
        return Draft(
            task_id=task.id,
            type=EventType.STEP_PROGRESS,
            attempt=task.attempt,
            data={"fraction": ended / total, "text": f"{ended} of {total} steps"},
        )

    async def _conclude(self) -> None:
        """All steps have ended; so does the workflow."""
        task = self._progress.task
        outcome, problem = self._outcome()
        outputs = self._outputs() if outcome is EventType.SUCCEEDED else {}
        if isinstance(outputs, Problem):
            outcome, problem, outputs = EventType.FAILED, outputs, {}
        drafts = [self._standing()]
        drafts += [
            Draft(
                task_id=task.id,
                type=EventType.STEP_OUTPUT,
                attempt=task.attempt,
                data={"name": name, "value": value},
            )
            for name, value in outputs.items()
        ]
        data = {"error": wire.encode(problem)} if problem else {}
        drafts.append(Draft(task_id=task.id, type=outcome, attempt=task.attempt, data=data))
        # The files first: who hears of the end finds them complete.
        self._progress.task = functools.reduce(advance, drafts, task)
        await asyncio.to_thread(self._last_words)
        await self._o.record(*drafts)
        self.is_over = True
        logger.info("workflow ended task_id=%s event=%s", task.id, outcome)

    def _last_words(self) -> None:
        task = self._progress.task
        why = f": {task.error.message}" if task.error else ""
        seconds = task.duration_seconds or 0.0
        self._files.log(f"workflow {task.state.value} after {seconds:.3f} s{why}")
        self._files.summarise(self._progress, is_last=True)

    def _outcome(self) -> tuple[EventType, Problem | None]:
        task, deadline = self._progress.task, self._deadline
        if task.cancel_requested:
            return EventType.CANCELLED, Problem(name="Cancelled", message="it was cancelled")
        limit = task.policy.timeout_seconds
        if limit is not None and (self._cancelled or (deadline and clock.now() >= deadline)):
            message = f"the workflow did not end within its limit of {limit:g} seconds"
            return EventType.TIMED_OUT, Problem(name="timed_out", message=message)
        problem = self._fault or _failure(self._progress)
        return (EventType.FAILED, problem) if problem else (EventType.SUCCEEDED, None)

    def _outputs(self) -> dict[str, Any] | Problem:
        asked = self._progress.workflow.outputs
        try:
            names = scope.whole_scope(self._progress, self._o.settings.root_directory)
            return {name: template.resolve(value, names) for name, value in asked.items()}
        except TemplateError as problem:
            return Problem(name="OutputInvalid", message=f"outputs: {problem}")


def _graph(path: Path) -> Workflow:
    return wire.decode(Workflow, json.loads(path.read_bytes()))


async def children_of(o: Orchestration, parent_id: str) -> list[Task]:
    """The tasks of its steps, oldest first."""
    query = TaskQuery(parent=parent_id, sort="created_at", limit=_PAGE)
    found: list[Task] = []
    while True:
        page = await o.store.tasks(query)
        found.extend(page.tasks)
        if page.next_cursor is None:
            return found
        query = replace(query, cursor=page.next_cursor)


async def _end(o: Orchestration, child: Task, workflow: Task) -> None:
    try:
        await cancel(o, child.id, f"its workflow {short(workflow.id)}")
    except IllegalTransition:
        logger.debug("step ended before it was cancelled task_id=%s", child.id)


async def _abort(o: Orchestration, task: Task, message: str) -> None:
    drafts = []
    attempt = task.attempt
    if task.state is State.QUEUED:
        attempt += 1
        drafts.append(Draft(task_id=task.id, type=EventType.STARTED, attempt=attempt))
    error = {"error": wire.encode(Problem(name="GraphLost", message=message))}
    drafts.append(Draft(task_id=task.id, type=EventType.CRASHED, attempt=attempt, data=error))
    await o.record(*drafts)


def _why(progress: Progress, step: StepProgress) -> str:
    """Why the ends of the steps before do not let a step run."""
    ended = [
        (name, progress.steps[name].state)
        for name in step.step.depends_on
        if progress.steps[name].state is not None
    ]
    bad = [(name, state) for name, state in ended if state is not State.SUCCESS] or ended
    said = ", ".join(f"step {name!r} is {state.value}" for name, state in bad[:5] if state)
    return f"{said}; its trigger rule is {step.step.trigger_rule.value}"


def _failure(progress: Progress) -> Problem | None:
    """What is to be said of the steps that did not succeed."""
    bad = [
        step
        for step in progress.steps.values()
        if step.state not in (State.SUCCESS, State.SKIPPED, None)
    ]
    if not bad:
        return None
    first = next(
        (task for task in bad[0].tasks.values() if task.error and task.state is bad[0].state), None
    )
    why = f": {first.error.message}" if first and first.error else ""
    state = bad[0].state.value if bad[0].state else ""
    skipped = sum(step.state is State.SKIPPED for step in progress.steps.values())
    more = f"; {len(bad) - 1} more did not succeed" if len(bad) > 1 else ""
    rest = f"; {skipped} skipped" if skipped else ""
    message = f"step {bad[0].step.id!r} {state}{why}".removesuffix(".") + more + rest
    return Problem(name="StepFailed", message=message)


def _begin_line(child: Task) -> str:
    where = Path(child.run_directory).name
    return f"step {child.step} {child.state.value}: task {short(child.id)} in {where}"


def _end_line(child: Task) -> str:
    took = f" after {child.duration_seconds:.3f} s" if child.duration_seconds is not None else ""
    reused = f", reused from {short(child.reused_from)}" if child.reused_from else ""
    why = f": {child.error.message}" if child.error else ""
    return f"step {child.step} {child.state.value}{took}{reused}{why}"
