"""What an address of the interface is. Jupyter's handlers and the OpenAPI document are both made
from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from opspawn_jupyter.server.handlers.base import EnvelopeMixin


class Area(Enum):
    """Who is asked about access: the resource that Jupyter's Authorizer is given, or the door."""

    SERVER = "opspawn_server"
    TASKS = "opspawn_tasks"
    EVENTS = "opspawn_events"
    QUESTIONS = "opspawn_questions"
    SIGNATURES = "opspawn_signatures"
    TOOLS = "opspawn_tools"
    SCHEDULES = "opspawn_schedules"
    SQL = "opspawn_sql"
    NOTEBOOKS = "opspawn_notebooks"
    #: Not Jupyter's: the workers' own secret opens it.
    WORKERS = "opspawn_workers"


class Content(Enum):
    """Answers that are not one JSON record."""

    DOCUMENT = "application/json"
    NOTEBOOK = "application/x-ipynb+json"
    FILE = "application/octet-stream"
    MESSAGES = "websocket"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of a route."""

    method: str
    summary: str
    answer: type[Any] | Content
    status: HTTPStatus = HTTPStatus.OK
    body: type[Any] | None = None
    query: type[Any] | None = None
    #: Anonymous callers are answered.
    is_open: bool = False


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address. ``{name}`` stands for a segment of the path, ``{+name}`` for all the rest."""

    path: str
    handler: type[EnvelopeMixin]
    area: Area
    operations: tuple[Operation, ...]

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        rest = re.sub(r"\{\+(\w+)\}", r"(?P<\1>.+)", self.path.replace(".", r"\."))
        return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", rest)


def get(summary: str, answer: type[Any] | Content, **more: Any) -> Operation:
    """What reading the address gives."""
    return Operation(method="get", summary=summary, answer=answer, **more)


def post(summary: str, body: type[Any] | None, answer: type[Any], **more: Any) -> Operation:
    """What posting to the address does."""
    return Operation(method="post", summary=summary, body=body, answer=answer, **more)


def route(path: str, handler: type[EnvelopeMixin], area: Area, *operations: Operation) -> Route:
    """An address, as the files in ``routes`` write it down."""
    return Route(path=path, handler=handler, area=area, operations=operations)
