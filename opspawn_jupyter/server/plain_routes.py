"""Addresses without a variable part, found by a look.

tornado tries the patterns of Jupyter and all its extensions one after the other until one matches,
each in Python: thirty before a task can be submitted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import AnyMatches, Router, Rule
from tornado.web import Application, RequestHandler

#: A pattern that matches itself and nothing else.
_PLAIN = re.compile(r"[\w/-]+", re.ASCII)


class PlainRoutes(Router):
    """Handlers, with what they are initialized with, by the path of the address."""

    def __init__(
        self,
        application: Application,
        routes: Mapping[str, tuple[type[RequestHandler], dict[str, Any]]],
    ) -> None:
        self._application = application
        self._routes = routes

    def find_handler(
        self,
        request: HTTPServerRequest,
        **_: Any,  # what tornado's own routers pass on
    ) -> HTTPMessageDelegate | None:
        """Called by tornado; with None it looks on."""
        found = self._routes.get(request.path)
        if found is None:
            return None
        handler, given = found
        return self._application.get_handler_delegate(request, handler, given)


def put_first(
    application: Application,
    handlers: Iterable[tuple[str, type[RequestHandler], dict[str, Any]]],
) -> None:
    """Have the plain ones of these handlers, as Jupyter takes them, found before all others."""
    base_url = application.settings["base_url"]
    routes = {
        url_path_join(base_url, pattern): (handler, given)
        for pattern, handler, given in handlers
        if _PLAIN.fullmatch(pattern)
    }
    application.default_router.rules.insert(0, Rule(AnyMatches(), PlainRoutes(application, routes)))
