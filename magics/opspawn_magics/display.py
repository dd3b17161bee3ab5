"""What commands give, as objects that show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar, overload

from opspawn_jupyter.client import (
    audit_html,
    audit_text,
    html,
    task_text,
    text,
    workflow_html,
    workflow_text,
)
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.panel import PANEL_MIME, board_panel
from opspawn_jupyter.client.question_text import question_list
from opspawn_jupyter.model.diagnosis import Report
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.model.workflow_view import WorkflowView

T = TypeVar("T")


class _Listing(Sequence[T]):
    # No tuple: IPython would print one as a tuple, whatever it says of itself.
    def __init__(self, items: Sequence[T]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self._items[place]

    def __len__(self) -> int:
        return len(self._items)


class TaskList(_Listing[Task]):
    """Tasks, shown as a list that stays true: all that ``query`` finds, where it is given."""

    def __init__(
        self, tasks: Sequence[Task], query: TaskQuery | None = None, server: Server | None = None
    ) -> None:
        super().__init__(tasks)
        self._query = query
        #: Where they run.
        self.server = server

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            PANEL_MIME: board_panel(self, self._query),
            "text/plain": task_text.task_list(self),
            "text/html": html.task_list(self),
        }


class ParameterList(_Listing[Parameter]):
    """What a notebook declares, shown as a table."""

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": text.parameter_list(self), "text/html": html.parameter_list(self)}


class QuestionListing(_Listing[Question]):
    """What waits for a person, shown as a table."""

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": question_list(self), "text/html": html.question_list(self)}


class AuditListing(_Listing[TaskHandle]):
    """Audits, shown as a table."""

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        tasks = [handle.picture() for handle in self]
        return {
            "text/plain": audit_text.audit_list(tasks),
            "text/html": audit_html.audit_list(tasks),
        }


class WorkflowGraph:
    """A run of a workflow, shown as its graph."""

    def __init__(self, view: WorkflowView, format: str = "text") -> None:  # noqa: A002
        self.view = view
        self._format = format

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if self._format == "mermaid":
            return {"text/plain": workflow_text.mermaid(self.view)}
        return {
            "text/plain": workflow_text.workflow_text(self.view),
            "text/html": workflow_html.workflow_html(self.view),
        }


class Checks:
    """What the doctor found, shown as a table."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": text.report(self.report), "text/html": html.report(self.report)}


class Rows:
    """The answer to a query, where pandas is not there to hold it."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.table.rows)

    def __len__(self) -> int:
        return len(self.table.rows)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": text.table_text(self.table), "text/html": html.table(self.table)}


def rows_of(table: Table) -> Any:
    """A pandas ``DataFrame`` where pandas is installed, else ``Rows``."""
    return _data_frame(table) if find_spec("pandas") else Rows(table)


def _data_frame(table: Table) -> Any:
    pd = import_module("pandas")  # an extra: the kernel side may not need it
    frame = pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    for position, column in enumerate(table.columns):
        if column.type.startswith("TIMESTAMP"):
            times = pd.to_datetime(frame.iloc[:, position], utc=True, format="ISO8601")
            frame.isetitem(position, times)
    frame.attrs["truncated"] = table.truncated
    return frame
