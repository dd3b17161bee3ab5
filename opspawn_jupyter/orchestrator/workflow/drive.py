"""Move one workflow on, from its start to its end.

``drive`` is told which of the workflow's tasks have moved, looks at them in the store, and does
what follows. All that it knows comes from the store, so a server that is restarted at whatever
moment begins with ``load`` and goes on: a step that has a task is never begun again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from opspawn_jupyter.errors import IllegalTransition, Unavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.workflow import APPROVAL
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import cache, children
from opspawn_jupyter.orchestrator.workflow.conclude import ending
from opspawn_jupyter.orchestrator.workflow.decide import Batch, Decider
from opspawn_jupyter.orchestrator.workflow.files import RunFiles
from opspawn_jupyter.orchestrator.workflow.load import children_of, load
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress, split_name

logger = logging.getLogger(__name__)

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
        self._decider = Decider(progress, o.settings.root_directory)
        self._files = RunFiles(o.settings.root_directory, progress.task)
        self._has_news = True
        self._cancelled: set[str] = set()
        #: Steps' tasks whose end is not in the log yet.
        self._unlogged: list[Task] = []
        self._fault: Problem | None = None
        self.is_over = False

    @classmethod
    async def load(cls, o: Orchestration, task_id: str) -> _Run | None:
        """The run as the store has it; None where there is nothing to move."""
        progress = await load(o, task_id)
        if progress is None:
            return None
        run = cls(o, progress)
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
        while batch := self._decider.next_batch():
            await self._carry_out(batch)
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
            await self._restore_step(progress.steps[step_id], by_step.get(step_id, ()))

    async def _restore_step(self, step: StepProgress, tasks: Iterable[Task]) -> None:
        for child in tasks:
            self._progress.put(step, child)
            if child.state is State.QUEUED and child.kind == APPROVAL:
                await children.approve(self._o, child)
        if step.tasks and None not in step.tasks:
            self._settled(self._progress.expand(step, self._decider.items(step)))
        elif step.tasks:
            self._settled(self._progress.settle(step))

    async def _note(self, child: Task) -> None:
        is_news = self._progress.is_news(child)
        asked = child.id in self._progress.asking
        settled = self._progress.note(child)
        self._has_news |= asked != (child.id in self._progress.asking)
        if child.state.is_final:
            self._has_news = True
            await cache.keep(self._o, child)
            if is_news:
                self._unlogged.append(child)
        elif child.state is State.QUEUED and child.kind == APPROVAL:
            await children.approve(self._o, child)
        self._settled(settled)

    def _settled(self, step: StepProgress | None) -> None:
        """A step has ended: that may end the workflow."""
        if step is None:
            return
        try:
            if self._decider.ends_all(step):
                self._progress.stop(f"the workflow ended early after step {step.step.id!r}")
        except TemplateError as problem:
            self._fault = Problem(name="StepInvalid", message=f"end_when: {problem}")
            self._progress.stop(f"end_when of step {step.step.id!r} has no value")

    async def _mind_the_end(self) -> None:
        """A cancellation or the time limit ends what is under way."""
        task = self._progress.task
        if task.cancel_requested:
            self._progress.stop("the workflow was cancelled")
        elif self._is_late:
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

    @property
    def _is_late(self) -> bool:
        deadline = self._deadline
        return deadline is not None and clock.now() >= deadline

    async def _carry_out(self, batch: Batch) -> None:
        made = await children.begin_all(self._o, batch.begun) if batch.begun else []
        if batch.skipped:
            made += await children.skip(self._o, batch.skipped)
        for child in made:
            await self._note(child)
        await asyncio.to_thread(self._files.show, made)

    async def _write(self) -> None:
        """The log; summary and progress, where there is something new and it is their turn."""
        if self._unlogged:
            ended, self._unlogged = self._unlogged, []
            await asyncio.to_thread(self._files.log_ends, ended)
        if not self._has_news:
            return
        written = await asyncio.to_thread(self._files.summarise, self._progress)
        if written:
            self._has_news = False
            await self._o.record(self._standing())

    def _standing(self) -> Draft:
        """How many of the steps have ended, and whether it goes on only with somebody's answer."""
        task, ended, total = self._progress.task, self._progress.ended, len(self._progress.steps)
        asking = len(self._progress.asking)
        waits = f", {asking} {'waits' if asking == 1 else 'wait'} for an answer" if asking else ""
        return Draft(
            task_id=task.id,
            type=EventType.STEP_PROGRESS,
            attempt=task.attempt,
            data={"fraction": ended / total, "text": f"{ended} of {total} steps{waits}"},
        )

    async def _conclude(self) -> None:
        """All steps have ended; so does the workflow."""
        progress, root = self._progress, self._o.settings.root_directory
        is_timed = progress.task.policy.timeout_seconds is not None
        is_late = is_timed and (bool(self._cancelled) or self._is_late)
        end = ending(progress, root, is_late=is_late, fault=self._fault)
        drafts = (self._standing(), *end)
        # The files first: who hears of the end finds them complete.
        progress.task = functools.reduce(advance, drafts, progress.task)
        await asyncio.to_thread(self._files.close, progress)
        await self._o.record(*drafts)
        self.is_over = True
        logger.info("workflow ended task_id=%s event=%s", progress.task.id, end[-1].type)


async def _end(o: Orchestration, child: Task, workflow: Task) -> None:
    try:
        await cancel(o, child.id, f"its workflow {short(workflow.id)}")
    except IllegalTransition:
        logger.debug("step ended before it was cancelled task_id=%s", child.id)
