"""The files of a workflow's own run: log, summary, and links to its steps' run directories."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.workflow.progress import Progress, StepProgress, present_state

logger = logging.getLogger(__name__)

#: A summary is written again after so many times what the last one took: of a graph with
#: thousands of steps not after each.
_SPARING = 100.0
#: Steps that appear in the workflow's own directory: with more, nobody finds one by looking. All
#: of them are in log and summary, with their directories.
_MOST_LINKS = 100
_text = encoder()


class RunFiles:
    """What is written for one run. Everything here blocks: call it in a thread."""

    def __init__(self, root: Path, task: Task) -> None:
        self._root = root
        self._directory = RunDirectory(root / task.run_directory)
        extra = task.spec.get("log_directory")
        self._copies = [RunDirectory(root / extra / self._directory.path.name)] if extra else []
        self._due = 0.0
        self._links = 0
        #: What the summary says of steps that have ended, which stays: by step.
        self._said: dict[str, str] = {}
        #: And of those that have no task: by kind, and whether they have begun.
        self._said_before: dict[tuple[str, bool], str] = {}

    def log(self, *lines: str) -> None:
        """Add lines to the log."""
        text = "".join(f"{clock.now():%Y-%m-%d %H:%M:%S}Z {line}\n" for line in lines)
        for directory in self._all:
            try:
                directory.path.mkdir(parents=True, exist_ok=True)
                with directory.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(text)
            except OSError:
                logger.exception("log of a workflow cannot be written")

    def show(self, made: Sequence[Task]) -> None:
        """Steps that were begun, reused or skipped just now."""
        for child in made:
            if self._links < _MOST_LINKS:
                self._link(child)
        self.log(*(_begin_line(child) for child in made if not child.state.is_final))

    def log_ends(self, ended: Sequence[Task]) -> None:
        """Steps' tasks that have ended."""
        self.log(*map(_end_line, ended))

    def close(self, progress: Progress) -> None:
        """The workflow has ended."""
        task = progress.task
        why = f": {task.error.message}" if task.error else ""
        seconds = task.duration_seconds or 0.0
        self.log(f"workflow {task.state.value} after {seconds:.3f} s{why}")
        self.summarise(progress, is_last=True)

    def summarise(self, progress: Progress, *, is_last: bool = False) -> bool:
        """Rewrite the summary; whether that was its turn."""
        began = time.monotonic()
        if began < self._due and not is_last:
            return False
        content = self._summary(progress).encode() + b"\n"
        for directory in self._all:
            try:
                directory.path.mkdir(parents=True, exist_ok=True)
                write_atomic(directory.summary, content)
            except OSError:
                logger.exception("summary of a workflow cannot be written")
        now = time.monotonic()
        self._due = now + _SPARING * (now - began)
        return True

    def _link(self, child: Task) -> None:
        """Have the child's run directory appear in this one, by the step's name."""
        if child.state is State.SKIPPED:
            return
        links = self._directory.path / "steps"
        with suppress(OSError):  # a convenience, and not on every file system
            links.mkdir(exist_ok=True)
            target = os.path.relpath(self._root / child.run_directory, links)
            (links / (child.step or child.id)).symlink_to(target, target_is_directory=True)
            self._links += 1

    def _summary(self, progress: Progress) -> str:
        """All of it as JSON."""
        said = [self._step(step) for step in progress.steps.values()]
        return f'{wire.to_json(_own(progress))[:-1]}, "steps": {{{", ".join(said)}}}}}'

    def _step(self, step: StepProgress) -> str:
        name = step.step.id
        said = self._said.get(name)
        if said is None:
            is_bare = not step.tasks and step.state is None
            what = self._bare(step) if is_bare else _text(_step(step))
            said = f"{wire.to_json(name)}: {what}"
            if step.state is not None:
                self._said[name] = said
        return said

    def _bare(self, step: StepProgress) -> str:
        """What is said of a step that has no task yet."""
        name = (step.step.kind, step.is_decided)
        if name not in self._said_before:
            self._said_before[name] = _text(_step(step))
        return self._said_before[name]

    @property
    def _all(self) -> list[RunDirectory]:
        return [self._directory, *self._copies]


def _begin_line(child: Task) -> str:
    where = Path(child.run_directory).name
    return f"step {child.step} {child.state.value}: task {short(child.id)} in {where}"


def _end_line(child: Task) -> str:
    took = f" after {child.duration_seconds:.3f} s" if child.duration_seconds is not None else ""
    reused = f", reused from {short(child.reused_from)}" if child.reused_from else ""
    why = f": {child.error.message}" if child.error else ""
    return f"step {child.step} {child.state.value}{took}{reused}{why}"


def _own(progress: Progress) -> dict[str, Any]:
    """What there is to say of the workflow itself."""
    task = progress.task
    return {
        "id": task.id,
        "name": task.name,
        "kind": task.kind,
        "state": task.state.value,
        "parameters": task.spec.get("parameters", {}),
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "duration_seconds": task.duration_seconds,
        "outputs": task.outputs,
        "error": wire.encode(task.error),
    }


def _step(step: StepProgress) -> dict[str, Any]:
    """What there is to say of a step, as JSON has it."""
    upstream = step.upstream
    tasks = [task for _, task in sorted(step.tasks.items(), key=lambda item: item[0] or 0)]
    error = next((task.error for task in tasks if task.error), None)
    return {
        "kind": step.step.kind,
        "state": present_state(step).value,
        "outputs": upstream.outputs,
        "error": wire.encode(error),
        "tasks": [
            {
                "id": task.id,
                "state": task.state.value,
                "attempt": task.attempt,
                "duration_seconds": task.duration_seconds,
                "run_directory": task.run_directory,
                "reused_from": task.reused_from,
            }
            for task in tasks
        ],
    }
