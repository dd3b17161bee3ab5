"""An MCP server that wants a login, with its own authorization server, both of the SDK's making and
in a thread. Whoever comes to its login page is let in at once, or refused."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl

from jupyter_process import PATIENCE_SECONDS


@dataclass
class Guarded:
    """See the SDK's ``OAuthAuthorizationServerProvider``; and what a test wants to know."""

    url: str = ""
    is_refusing: bool = False
    clients: dict[str, OAuthClientInformationFull] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)
    renewals: int = 0

    @property
    def secrets(self) -> list[str]:
        """All that nobody but the two may see."""
        given = [one.client_secret for one in self.clients.values() if one.client_secret]
        return [*self.access, *self.refresh, *given]

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        if self.is_refusing:
            said = {"error": "access_denied", "error_description": "not today"}
        else:
            said = {"code": secrets.token_urlsafe(24)}
            self.codes[said["code"]] = AuthorizationCode(
                code=said["code"],
                scopes=params.scopes or [],
                expires_at=time.time() + 600,
                client_id=client.client_id,
                **params.model_dump(
                    include={
                        "code_challenge",
                        "redirect_uri",
                        "redirect_uri_provided_explicitly",
                        "resource",
                    }
                ),
            )
        return f"{params.redirect_uri}?{urlencode({**said, 'state': params.state or ''})}"

    async def load_authorization_code(
        self, _: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._issued(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(
        self, _: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.renewals += 1
        return self._issued(client, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)

    def revoke_all(self) -> None:
        """No token counts any more."""
        self.access.clear()
        self.refresh.clear()

    def _issued(
        self, client: OAuthClientInformationFull, scopes: list[str], resource: str | None
    ) -> OAuthToken:
        token, again = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        more = {"client_id": client.client_id, "scopes": scopes, "resource": resource}
        self.access[token] = AccessToken(token=token, **more)
        self.refresh[again] = RefreshToken(token=again, **more)
        return OAuthToken(access_token=token, refresh_token=again, expires_in=3_600)


@contextmanager
def guarded() -> Iterator[Guarded]:
    """The two, listening for the length of a block. Its tool ``who`` tells the client's id."""
    listening = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    door = Guarded(url=f"{origin}/mcp")
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(origin),
        resource_server_url=AnyHttpUrl(door.url),
        client_registration_options=ClientRegistrationOptions(enabled=True),
        validate_token_resource=True,
    )
    server = MCPServer("guarded", auth_server_provider=door, auth=settings, log_level="CRITICAL")

    @server.tool()
    def who() -> str:
        """Whose token was shown."""
        token = get_access_token()
        return token.client_id if token else "nobody"

    config = uvicorn.Config(
        server.streamable_http_app(), log_level="critical", timeout_graceful_shutdown=1
    )
    run = uvicorn.Server(config)
    thread = threading.Thread(target=run.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        _await_start(run, thread)
        yield door
    finally:
        run.should_exit = True
        thread.join()
        listening.close()


def _await_start(run: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not run.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.started
