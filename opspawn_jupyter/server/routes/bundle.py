"""Evidence of audits."""

from __future__ import annotations

from opspawn_jupyter.server.handlers.bundle import TaskBundleHandler
from opspawn_jupyter.server.route import Area, Content, get, route

ROUTES = (
    route(
        "tasks/{reference}/bundle",
        TaskBundleHandler,
        Area.TASKS,
        get("The sealed evidence of an audit, as a zip file", Content.FILE),
    ),
)
