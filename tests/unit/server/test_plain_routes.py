"""Plain addresses are found at once, and as they would be found without that."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, RequestHandler

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.server import plain_routes, routing
from opspawn_jupyter.server.handlers.task import TasksHandler
from opspawn_jupyter.server.openapi import document
from opspawn_jupyter.server.service import Service


class Elsewhere(RequestHandler):
    """Somebody else's, who takes whatever he can get."""


@pytest.fixture
def known() -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """All our routes."""

    async def open_system() -> Any:
        raise Unavailable

    return list(routing.handlers(Service(open_system, document)))


def found_by(application: Application, path: str) -> Any:
    """The handler that a request to this path gets."""
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", path, "HTTP/1.1"), headers=HTTPHeaders({"Host": "here"})
    )
    delegate: Any = application.find_handler(request)
    return delegate.handler_class, delegate.handler_kwargs


def test_a_plain_address_is_found_before_anybody_elses_pattern(known: Any) -> None:
    """Or else a submission waits until thirty others were tried."""
    application = Application([("/.*", Elsewhere)], base_url="/base/")
    plain_routes.put_first(application, known)

    handler, given = found_by(application, f"/base/{routing.API}/tasks")

    assert handler is TasksHandler
    assert set(given) == {"service", "area"}


def test_all_others_are_found_as_ever(known: Any) -> None:
    """What varies, what is not ours, and what has another base."""
    application = Application([("/.*", Elsewhere)], base_url="/base/")
    plain_routes.put_first(application, known)

    for path in (f"/base/{routing.API}/tasks/", f"/base/{routing.API}/tasks/1", "/base/api", "/"):
        assert found_by(application, path)[0] is Elsewhere
    assert found_by(application, f"/{routing.API}/tasks")[0] is Elsewhere


def test_no_pattern_would_have_come_first(known: Any) -> None:
    """The order of the routes stays what decides."""
    application = Application([], base_url="/")
    plain_routes.put_first(application, known)

    found = application.default_router.rules[0].target._routes
    assert found
    for path, target in found.items():
        first = next(one for one in known if re.fullmatch(one[0], path[1:]))
        assert target == first[1:]
