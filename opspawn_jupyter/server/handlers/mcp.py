"""MCP over HTTP at ``/opspawn/mcp``: the SDK's ASGI application inside Jupyter's own server.

No second port, and Jupyter's own authentication: a token, a hub's login, or the key of a task. A
page of another site is refused whatever it shows, and a session belongs to whoever began it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from opspawn_jupyter.broker.own_tool import asked_server
from opspawn_jupyter.errors import NotAuthorized, NotFound
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.server.handlers.base import caller_name
from opspawn_jupyter.server.handlers.task_key import TaskKeyMixin

_SESSION = "mcp-session-id"
#: Headers that are a matter between these two only.
_HOP_BY_HOP = frozenset({b"connection", b"transfer-encoding", b"content-length"})


class McpHandler(TaskKeyMixin):
    """One request of an MCP client, or one stream to it."""

    SUPPORTED_METHODS = ("GET", "POST", "DELETE")

    async def prepare(self, **more: object) -> None:
        """Refuse pages of other sites first, then strangers."""
        self._gone = asyncio.Event()
        await super().prepare(**more)
        origin = self.request.headers.get("Origin")
        if origin and not self._is_own_site(origin):
            raise NotAuthorized(hint=f"pages of {origin} may not call this")

    def set_status(self, status_code: int, reason: str | None = None) -> None:
        """A refusal for want of a token says so in its header as well."""
        super().set_status(status_code, reason)
        if status_code == 401:
            self.set_header("WWW-Authenticate", "Bearer")

    def get_login_url(self) -> str:
        """No redirect: the client is a program."""
        raise web.HTTPError(401)

    def compute_etag(self) -> None:
        """None: nothing here is to be cached."""

    def on_connection_close(self) -> None:
        """The client has gone, so whatever runs for this request ends."""
        super().on_connection_close()
        self._gone.set()

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def get(self, only: str | None = None) -> None:
        """A stream of what the server has to say."""
        await self._serve(only)

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def post(self, only: str | None = None) -> None:
        """A request."""
        await self._serve(only)

    @web.authenticated
    @authorized("execute")  # type: ignore[untyped-decorator] # its hints lack this use
    async def delete(self, only: str | None = None) -> None:
        """The end of a session."""
        await self._serve(only)

    async def _serve(self, only: str | None) -> None:
        tools = (await self.service.running()).tools
        principal = self.task_principal or Principal(user=caller_name(self.current_user.username))
        self._sessions: dict[str, Principal] = tools.session_owners
        self._principal = principal
        session = self.request.headers.get(_SESSION)
        if session is not None and self._sessions.get(session, principal) != principal:
            raise NotFound(hint="this session is somebody else's")
        application = await tools.mcp_application()
        scope = self._scope(principal, only)
        asked_server.set(only)
        body = [{"type": "http.request", "body": self.request.body, "more_body": False}]

        async def receive() -> Mapping[str, Any]:
            if body:
                return body.pop()
            await self._gone.wait()
            return {"type": "http.disconnect"}

        work = self.service.background.start(application(scope, receive, self._send), "mcp")
        await asyncio.wait([work])
        if not self._finished and not self._gone.is_set():
            await self.finish()

    async def _send(self, message: Mapping[str, Any]) -> None:
        """What the application answers, piece by piece."""
        if self._gone.is_set():
            return
        try:
            if message["type"] == "http.response.start":
                await self._begin(message)
                return
            self.write(message.get("body") or b"")
            if message.get("more_body"):
                await self.flush()
        except StreamClosedError:
            self._gone.set()

    async def _begin(self, message: Mapping[str, Any]) -> None:
        self.set_status(message["status"])
        self.clear_header("Content-Type")
        for name, value in message.get("headers", ()):
            if name.lower() not in _HOP_BY_HOP:
                self.set_header(name.decode("latin-1").title(), value.decode("latin-1"))
            if name.lower() == _SESSION.encode():
                self._sessions[value.decode("latin-1")] = self._principal
        if "event-stream" in self._headers.get("Content-Type", ""):
            await self.flush()

    def _scope(self, principal: Principal, only: str | None) -> dict[str, Any]:
        """The request as ASGI has it. The caller's credentials stay behind."""
        request = self.request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.protocol,
            "path": unquote(request.path),
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.get_all()
                if name.lower() not in ("authorization", "cookie")
            ],
            "client": (request.remote_ip, 0),
            "server": None,
            "state": {"principal": principal, "only": only},
        }

    def _is_own_site(self, origin: str) -> bool:
        if urlsplit(origin).netloc == self.request.headers.get("Host"):
            return True
        if self.allow_origin:
            return bool(self.allow_origin in ("*", origin))
        pattern = self.allow_origin_pat  # may be compiled already
        return bool(pattern and re.match(pattern, origin))
