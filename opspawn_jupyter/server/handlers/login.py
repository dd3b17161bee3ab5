"""Logins to tool servers: begun and ended as JSON, and the page that a browser comes back to.

The browser shows this server's own cookie (or the hub's), so it is known whose it is; its address
holds a code that is of use once, and only together with what has never left this process (PKCE,
RFC 7636). Jupyter leaves ``code`` and ``state`` out of its log.
"""

from __future__ import annotations

import asyncio
from html import escape
from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.tool import LoginRequest, Principal
from opspawn_jupyter.server.envelope import status_of
from opspawn_jupyter.server.handlers.base import EnvelopeMixin, caller_name
from opspawn_jupyter.server.handlers.tool import ToolHandler

#: How long the page waits for what comes of it.
_PATIENCE_SECONDS = 30.0
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 1em">
<h1 style="font-size: 1.3em">{title}</h1><p>{text}</p></body></html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class LoginHandler(ToolHandler):
    """The beginning of a login."""

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Say where to log in, or that it is not needed."""
        broker, request = await self.broker(), await self.body(LoginRequest)
        browsers = (await self.service.running()).tools.browsers
        browsers.note(self.request.headers, self.base_url)
        await self.answer_while_heard(broker.log_in(self.principal, request.server))


class LogoutHandler(ToolHandler):
    """The end of a login."""

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self) -> None:
        """Forget it."""
        broker, request = await self.broker(), await self.body(LoginRequest)
        await self.answer(await broker.log_out(self.principal, request.server))


class LoginPageHandler(EnvelopeMixin):
    """Where a browser comes back to."""

    @property
    def content_security_policy(self) -> str:
        """Instead of Jupyter's own, which allows more."""
        return _POLICY

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def get(self) -> None:
        """Take what it brings, and say what came of it."""
        try:
            broker = (await self.service.running()).tools.broker
            title, text = await self._taken(broker)
        except OpspawnError as problem:
            self.set_status(status_of(problem))
            title, text = "This login does not count", problem.message
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Referrer-Policy", "no-referrer")
        await self.finish(_PAGE.format(title=escape(title), text=escape(text)))

    async def _taken(self, broker: ToolBroker) -> tuple[str, str]:
        principal = Principal(user=caller_name(self.current_user.username))
        said = self.get_query_argument
        problem = ": ".join(filter(None, (said("error", ""), said("error_description", ""))))
        server, outcome = broker.logins.arrive(
            principal,
            said("state", ""),
            code=said("code", ""),
            issuer=said("iss", None),
            problem=problem,
        )
        await asyncio.wait({outcome}, timeout=_PATIENCE_SECONDS)
        if not outcome.done():
            return f"{server} takes its time", "See `opspawn tools` for what comes of the login."
        if outcome.result():
            self.set_status(HTTPStatus.BAD_GATEWAY)
            return f"{server} was not logged in to", outcome.result()
        return f"You are logged in to {server}", "You can close this tab; what waited goes on."
