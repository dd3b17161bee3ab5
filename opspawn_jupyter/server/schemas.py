"""What requests carry and what answers hold, besides the model itself.

pydantic checks what comes in (``parsing``); it is imported with the first request, or in the
background after the start, because it costs the server 0.1 s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar, get_origin, get_type_hints

from annotated_types import Ge, Le

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Problem, TaskQuery

T = TypeVar("T")

#: What is read or written in less time than it takes to hand it to a thread.
SMALL_BYTES = 16 << 10
#: Names that Jupyter's own clients add to any address.
_NOT_OURS = frozenset({"token", "_xsrf", "no_track_activity"})


@dataclass(frozen=True, kw_only=True)
class TaskListQuery:
    """Which tasks to list. ``state`` and ``label`` may be given several times."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    state: tuple[State, ...] = ()
    kind: str | None = None
    name: str | None = None
    label: tuple[str, ...] = ()
    #: Only the parts of this task: its whole id.
    parent: str | None = None
    #: Only tasks that are no part of another one.
    top: bool = False
    #: Only dead letters; see ``TaskQuery.is_dead``.
    dead: bool = False
    sort: str = "-created_at"
    limit: Annotated[int, Ge(1), Le(500)] = 50
    cursor: str | None = None

    def record(self) -> TaskQuery:
        """The query as the store takes it."""
        return TaskQuery(
            states=self.state,
            kind=self.kind,
            name=self.name,
            labels=dict(_label(text) for text in self.label),
            parent=self.parent,
            is_top=self.top,
            is_dead=self.dead,
            sort=self.sort,
            limit=self.limit,
            cursor=self.cursor,
        )


def _label(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidRequest(text, hint="a label is asked for as label=name:value")
    return name, value


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    """Which part of a log: ``limit`` bytes from ``offset``, or the last ``tail`` lines."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    offset: Annotated[int, Ge(0)] = 0
    limit: Annotated[int, Ge(1), Le(1 << 20)] = 65536
    tail: Annotated[int, Ge(0), Le(100_000)] | None = None


@dataclass(frozen=True, kw_only=True)
class EventQuery:
    """Events with a higher ``seq`` than ``after``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    after: Annotated[int, Ge(0)] = 0
    limit: Annotated[int, Ge(1), Le(1000)] = 1000


@dataclass(frozen=True, kw_only=True)
class StreamQuery:
    """Where to begin (new events only, where ``after`` is left out), and whose events.

    ``outputs`` off leaves out what cells put out, which is most of the traffic. With ``batched``
    a message may hold several events, one a line.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    after: Annotated[int, Ge(0)] | None = None
    task: str | None = None
    outputs: bool = True
    batched: bool = False


@dataclass(frozen=True, kw_only=True)
class QuestionQuery:
    """Open questions, or ``all``; of every task or of one."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    task: str | None = None
    all: bool = False


@dataclass(frozen=True, kw_only=True)
class PeriodQuery:
    """From ``since`` on, before ``until``; now where that is left out."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ToolQuery:
    """Of one tool server, or of all."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    server: str | None = None
    #: Whether to wait until somebody has logged in to the one server, where it wants that.
    wait: bool = False


@dataclass(frozen=True, kw_only=True)
class NextQuery:
    """How many of the next due times to give."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    next: Annotated[int, Ge(0), Le(1000)] = 5


@dataclass(frozen=True, kw_only=True)
class HistoryQuery:
    """Which part of a schedule's history: ``next_cursor`` of the page before is ``before``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    limit: Annotated[int, Ge(1), Le(1000)] = 50
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class WhyQuery:
    """A due time; in the schedule's own zone where it has no UTC offset."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    at: datetime


@dataclass(frozen=True, kw_only=True)
class NotebookQuery:
    """``format`` is ``ipynb`` or ``html``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    format: str = "ipynb"


@dataclass(frozen=True, kw_only=True)
class PathQuery:
    """Path of a notebook, absolute or relative to the server's root."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    path: str


@dataclass(frozen=True, kw_only=True)
class SqlRequest:
    """One read-only query over the views of the history."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    query: str


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What a finished task came to."""

    state: State
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Problem | None = None


@dataclass(frozen=True, kw_only=True)
class LogSlice:
    """Part of a run's log."""

    text: str
    #: Where the next part begins, in bytes.
    next_offset: int
    #: The task has ended and there is no more.
    finished: bool


@dataclass(frozen=True, kw_only=True)
class EventList:
    """Events in order."""

    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a task left; ``path`` is relative to its artifacts."""

    path: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class ArtifactList:
    """The files that a task left, by path."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, kw_only=True)
class ParameterList:
    """What a notebook declares."""

    parameters: tuple[Parameter, ...]


def read_body(cls: type[T], body: bytes) -> T:
    """The record in a request's body. Raises ``InvalidRequest`` that names what is wrong."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as failure:
        raise InvalidRequest(hint=f"the body is not JSON: {failure}") from failure
    if not isinstance(value, dict):
        raise InvalidRequest(hint="the body must be a JSON object")
    return _parse(cls, value, "body")


def read_record(cls: type[T], value: Mapping[str, Any]) -> T:
    """The record that somebody gave as a JSON object. Raises ``InvalidRequest``."""
    return _parse(cls, value, "arguments")


def read_query(cls: type[T], arguments: Mapping[str, Sequence[str]]) -> T:
    """The record in an address's query. Raises ``InvalidRequest`` that names what is wrong."""
    several = _several(cls)
    given = {
        name: values if name in several else values[-1]
        for name, values in arguments.items()
        if any(values) and name not in _NOT_OURS and not name.isdigit()
    }
    return _parse(cls, given, "query")


def _several(cls: type[Any]) -> frozenset[str]:
    hints = get_type_hints(cls)
    return frozenset(item.name for item in fields(cls) if get_origin(hints[item.name]) is tuple)


def _parse(cls: type[T], value: Mapping[str, Any], what: str) -> T:
    from opspawn_jupyter.parsing import parse  # imports pydantic, see above

    return parse(cls, value, what)
