"""What ``tasks`` with its options lists."""

from __future__ import annotations

from typing import Protocol

from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task, TaskQuery


class _Finds(Protocol):
    def task(self, reference: str) -> Task: ...


def task_query(client: _Finds, options: Options) -> TaskQuery:
    """The query. ``client`` is asked for the parent, where one is named by the end of its id."""
    return TaskQuery(
        states=tuple(State(state) for state in options.state),
        name=options.name,
        kind=options.kind,
        labels=options.labels,
        parent=client.task(options.parent).id if options.parent else None,
        is_top=options.top,
        is_dead=options.dead,
        sort=options.sort,
        limit=options.limit,
    )
