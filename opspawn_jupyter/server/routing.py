"""All routes together, as the server and the descriptions of the interface take them."""

from __future__ import annotations

from typing import Any

from opspawn_jupyter.broker.opening import CALLBACK
from opspawn_jupyter.server.handlers.base import EnvelopeMixin, UnknownRouteHandler
from opspawn_jupyter.server.handlers.login import LoginPageHandler
from opspawn_jupyter.server.handlers.mcp import McpHandler
from opspawn_jupyter.server.handlers.run_page import pages
from opspawn_jupyter.server.route import Area, Route
from opspawn_jupyter.server.routes import (
    agent,
    bundle,
    diagnosis,
    history,
    note,
    notebook,
    question,
    schedule,
    task,
    tool,
    worker,
    workflow,
)
from opspawn_jupyter.server.service import Service

API = "opspawn/api/v1"
#: Where MCP is spoken; one server's tools alone under its name below it.
MCP = "opspawn/mcp"

ROUTES: tuple[Route, ...] = (
    *diagnosis.ROUTES,
    *task.ROUTES,
    *agent.ROUTES,
    *note.ROUTES,
    *bundle.ROUTES,
    *notebook.ROUTES,
    *workflow.ROUTES,
    *question.ROUTES,
    *schedule.ROUTES,
    *tool.ROUTES,
    *history.ROUTES,
    *worker.ROUTES,
)


def handlers(service: Service) -> list[tuple[str, type[EnvelopeMixin], dict[str, Any]]]:
    """The routes as tornado takes them, relative to the server's base URL."""
    known = [
        (f"{API}/{route.pattern}", route.handler, {"service": service, "area": route.area.value})
        for route in ROUTES
    ]
    spoken = {"service": service, "area": Area.TOOLS.value}
    mcp = (f"{MCP}(?:/(?P<only>[^/]+))?/?", McpHandler, spoken)
    back = (CALLBACK, LoginPageHandler, spoken)
    unknown = {"service": service, "area": Area.SERVER.value}
    return [*pages(service), *known, mcp, back, (f"{API}(?:/.*)?", UnknownRouteHandler, unknown)]
