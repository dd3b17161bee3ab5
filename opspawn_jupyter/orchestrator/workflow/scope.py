"""What a step's templates see, and what is pinned for its code to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.workflow import Inputs, Upstream, file_value
from opspawn_jupyter.orchestrator.workflow.progress import Progress

#: Steps beyond the direct ones that a step is told of.
_MOST_UPSTREAM = 200


def scope(
    progress: Progress, step_id: str, root: Path, item: Any = None, *, own: bool = False
) -> dict[str, Any]:
    """Names for the step's templates. Files stand as their absolute path. ``own``: the step's own
    outputs are there, too."""
    names = [*progress.steps[step_id].step.depends_on, *([step_id] if own else [])]
    return {
        **_common(progress),
        "tasks": {name: seen(progress.steps[name].upstream, root) for name in names},
        "item": item,
    }


def whole_scope(progress: Progress, root: Path) -> dict[str, Any]:
    """Names for the outputs of the workflow: every step is there."""
    steps = progress.steps.items()
    return {
        **_common(progress),
        "tasks": {name: seen(step.upstream, root) for name, step in steps},
        "item": None,
    }


def _common(progress: Progress) -> dict[str, Any]:
    task = progress.task
    return {
        "parameters": task.spec.get("parameters", {}),
        "workflow": {"id": task.id, "name": task.name, "run_directory": task.run_directory},
    }


def seen(upstream: Upstream, root: Path) -> dict[str, Any]:
    """A step as a template sees it."""
    outputs: Any = _plain(upstream, root)
    if upstream.task_id is None and not upstream.items:
        outputs = _Absent(outputs, upstream)
    return {
        "id": upstream.task_id,
        "state": upstream.state.value,
        "run_directory": str(root / upstream.run_directory) if upstream.run_directory else None,
        "outputs": outputs,
        "items": [seen(item, root) for item in upstream.items],
    }


def _plain(upstream: Upstream, root: Path) -> dict[str, Any]:
    if upstream.items:
        parts = [_plain(item, root) for item in upstream.items]
        return {name: [part.get(name) for part in parts] for name in upstream.outputs}
    base = root / (upstream.run_directory or "")
    return {name: _value(value, base) for name, value in upstream.outputs.items()}


def _value(value: Any, base: Path) -> Any:
    file = file_value(value)
    return value if file is None else str(base / file.path)


class _Absent(dict[str, Any]):
    """Outputs of a step without tasks: it was skipped, or had no items. Each is an empty list for
    the latter and nothing for the former."""

    def __init__(self, values: Mapping[str, Any], upstream: Upstream) -> None:
        super().__init__(values)
        self._is_empty = upstream.state.value == "success"

    def __contains__(self, _key: object) -> bool:
        return True

    def __missing__(self, _key: str) -> Any:
        return [] if self._is_empty else None


def inputs(progress: Progress, step_id: str, item: Any = None, *, is_shared: bool = False) -> bytes:
    """``inputs.json`` of the step's task; ``is_shared``: as for all that are given the same."""
    task = progress.task
    names = progress.before(step_id, _MOST_UPSTREAM)
    record = Inputs(
        workflow_id=task.id,
        workflow=task.name,
        step="" if is_shared else step_id,
        directory=task.spec.get("directory", "."),
        parameters=task.spec.get("parameters", {}),
        item=item,
        tasks={name: progress.steps[name].upstream for name in names},
    )
    return wire.to_json(record).encode() + b"\n"


def items_of(value: Any, most: int) -> list[Any]:
    """The items of a ``for_each`` whose templates were replaced. Raises ``TemplateError``."""
    if isinstance(value, Mapping):
        return _combined(value, most)
    if not isinstance(value, list):
        message = f"for_each gives {json.dumps(value, default=str)[:80]}, which is no list"
        raise TemplateError(message)
    return _limited(value, most)


def _combined(lists: Mapping[str, Any], most: int) -> list[Any]:
    found: list[dict[str, Any]] = [{}]
    for name, values in lists.items():
        if not isinstance(values, list):
            message = f"{name!r} of the matrix is no list"
            raise TemplateError(message)
        if len(found) * len(values) > most:
            return _limited([None] * (most + 1), most)
        found = [{**one, name: value} for one in found for value in values]
    return found


def _limited(items: list[Any], most: int) -> list[Any]:
    if len(items) > most:
        message = f"for_each gives more than {most} items"
        raise TemplateError(message)
    return items
