"""Find a task by its id or by the end of it that people type."""

from __future__ import annotations

from opspawn_jupyter.errors import AmbiguousReference, TaskNotFound
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration

#: Fewer characters would match by accident.
_SHORTEST_REFERENCE = 6


async def find(o: Orchestration, reference: str) -> Task:
    """The one task meant. Raises ``TaskNotFound`` or ``AmbiguousReference``."""
    task = await o.store.task(reference)
    if task is not None:
        return task
    if len(reference) < _SHORTEST_REFERENCE:
        raise TaskNotFound(reference, hint=f"give at least {_SHORTEST_REFERENCE} characters")
    return await _by_ending(o, reference)


async def _by_ending(o: Orchestration, reference: str) -> Task:
    matches = await o.store.resolve(reference)
    if len(matches) > 1:
        raise AmbiguousReference(reference, detail={"matches": list(matches)})
    task = await o.store.task(matches[0]) if matches else None
    if task is None:
        raise TaskNotFound(reference)
    return task
