"""The history, as tables and as a stream."""

from __future__ import annotations

from opspawn_jupyter.model.table import Table
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.event import EventStreamHandler
from opspawn_jupyter.server.handlers.sql import SqlHandler
from opspawn_jupyter.server.route import Area, Content, get, post, route

ROUTES = (
    route("sql", SqlHandler, Area.SQL, post("Read-only SQL", schemas.SqlRequest, Table)),
    route(
        "events/stream",
        EventStreamHandler,
        Area.EVENTS,
        get("A websocket of events", Content.MESSAGES, query=schemas.StreamQuery),
    ),
)
