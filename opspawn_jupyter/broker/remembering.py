"""The SDK's OAuth client for a server that goes on for long, whatever the grant.

The SDK knows of a token what it was given in this process. Here it is told after a restart when the
token ends and where to renew it; requests that need no login go side by side, where the SDK has
each wait for the one before; and what goes wrong becomes an error of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx2
from jwt.exceptions import PyJWTError
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)

from opspawn_jupyter.broker.config import OAuth
from opspawn_jupyter.broker.ports import Arrival
from opspawn_jupyter.broker.tokens import Login
from opspawn_jupyter.errors import ToolLoginNeeded, ToolServerFault

_REFUSALS = (401, 403)
_BUSY = 429
_SERVERS_FAULT = 500
_LONGEST_REASON = 300

_is_ours: ContextVar[bool] = ContextVar("is a login of ours", default=False)


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a connection needs to be let in."""

    login: Login
    #: Where browsers come back to; empty where that is not known.
    callback_url: str
    #: Takes secrets out of a text.
    hide: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Door:
    """The server that asks for a login, and who may answer it."""

    server: str
    url: str
    oauth: OAuth
    access: Access
    #: Has somebody log in. Raises ``ToolLoginNeeded``.
    log_in: Callable[[str], Awaitable[Arrival]]


class Remembering(OAuthClientProvider):
    """What all grants share."""

    _door: Door
    #: What the person's browser brought, of a grant that has one.
    _arrival: Arrival | None = None

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Called by httpx for each request. Streams and farewells make nobody log in, and what is
        let in waits for no other request's login."""
        early: httpx2.Response | None = None
        if request.method != "POST" or (self._initialized and self.context.is_token_valid()):
            self._add_auth_header(request)
            early = yield request
            if request.method != "POST" or early.status_code not in _REFUSALS:
                return
        _is_ours.set(True)
        flow = self._translated(super().async_auth_flow(request))
        shown = request.headers.get("Authorization")
        try:
            outgoing = await anext(flow)
            is_same = outgoing is request and request.headers.get("Authorization") == shown
            answer = early if early is not None and is_same else (yield outgoing)
            while True:
                if outgoing is request and answer.status_code in _REFUSALS:
                    self._prepare()
                outgoing = await flow.asend(answer)
                answer = yield outgoing
        except StopAsyncIteration:
            return
        finally:
            await flow.aclose()
            self._settle("the connection was ended meanwhile")

    async def _translated(
        self, flow: AsyncGenerator[httpx2.Request, httpx2.Response]
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """The SDK's flow, with what can go wrong in it as an error of ours."""
        try:
            outgoing = await anext(flow)
            while True:
                outgoing = await flow.asend((yield outgoing))
        except StopAsyncIteration:
            return
        except (OAuthFlowError, PyJWTError, ValueError) as failure:
            reason = (str(failure) or type(failure).__name__).splitlines()[0][:_LONGEST_REASON]
            hint = f"it cannot be logged in to: {self._door.access.hide(reason)}"
            self._settle(hint)
            raise ToolServerFault(self._door.server, hint=hint) from failure
        except ToolLoginNeeded as refusal:
            self._settle(refusal.message)
            raise
        finally:
            await flow.aclose()

    def _prepare(self) -> None:
        """The server is about to be logged in to."""

    def _settle(self, problem: str) -> None:
        """Tell the browser that waits what came of it, unless it was told."""
        if self._arrival is not None:
            with suppress(asyncio.InvalidStateError):
                self._arrival.outcome.set_result(problem)

    async def _initialize(self) -> None:
        await super()._initialize()
        place = self._door.access.login.get("place")
        if place is None:
            return
        self.context.token_expiry_time = place["expires_at"]
        if self.context.oauth_metadata is None:
            self._return_to(place)

    def _return_to(self, place: Mapping[str, Any]) -> None:
        self.context.auth_server_url = place["issuer"]
        if place["metadata"]:
            self.context.oauth_metadata = OAuthMetadata.model_validate(place["metadata"])
        if place["resource"]:
            resource = ProtectedResourceMetadata.model_validate(place["resource"])
            self.context.protected_resource_metadata = resource

    async def _handle_token_response(self, response: httpx2.Response) -> None:
        await super()._handle_token_response(response)
        await self._keep_place()
        self._settle("")

    async def _handle_refresh_response(self, response: httpx2.Response) -> bool:
        if response.status_code >= _SERVERS_FAULT or response.status_code == _BUSY:
            # Nothing is wrong with the login, so nobody has to log in again.
            message = f"its authorization server answers {response.status_code}; try again later"
            raise OAuthFlowError(message)
        is_renewed = await super()._handle_refresh_response(response)
        if is_renewed:
            await self._keep_place()
        return is_renewed

    async def _keep_place(self) -> None:
        """Where the token came from and when it ends: the SDK's storage holds neither."""
        context = self.context
        place = {
            "expires_at": context.token_expiry_time,
            "issuer": context.auth_server_url,
            "metadata": _plain(context.oauth_metadata),
            "resource": _plain(context.protected_resource_metadata),
        }
        await self._door.access.login.put(place=place)


class Storage:
    """See the SDK's ``TokenStorage``. A client that the configuration names stays what it is."""

    def __init__(self, login: Login, client: OAuthClientInformationFull | None = None) -> None:
        self._login = login
        self._client = client

    async def get_tokens(self) -> OAuthToken | None:
        """Those of the login, if somebody has made it."""
        kept = self._login.get("tokens")
        return None if kept is None else OAuthToken.model_validate(kept)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep them."""
        await self._login.put(tokens=_plain(tokens))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """As which client we are known there, if as any."""
        if self._client is not None:
            return self._client.model_copy()
        kept = self._login.get("client")
        return None if kept is None else OAuthClientInformationFull.model_validate(kept)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep what we were registered as. Raises ``OAuthFlowError`` where one is configured."""
        if self._client is not None:
            msg = "it leads to another authorization server than the configured issuer"
            raise OAuthFlowError(msg)
        await self._login.put(client=_plain(client_info))


class _Quiet(logging.Filter):
    """What goes wrong is told once, by whoever opens the connection, and without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_is_ours.get() and record.levelno >= logging.ERROR)


logging.getLogger("mcp.client.auth.oauth2").addFilter(_Quiet())


def _plain(model: Any) -> Any:  # one of the SDK's models, or None
    return None if model is None else model.model_dump(mode="json", exclude_none=True)
