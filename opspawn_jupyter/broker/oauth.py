"""OAuth towards a server over HTTP: the SDK's client, with our memory and our people behind it.

The protocol is the SDK's (discovery, registration, PKCE, resource indicators, step-up, refresh).
Here it is given what a server needs that goes on for long: it knows after a restart when its token
ends and where to renew it, registers anew where browsers come back to another address than before,
and lets requests that need no login go side by side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from jwt.exceptions import PyJWTError
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl

from opspawn_jupyter.broker.config import OAuth
from opspawn_jupyter.broker.ports import Arrival
from opspawn_jupyter.broker.tokens import Login
from opspawn_jupyter.errors import ToolLoginNeeded, ToolServerFault
from opspawn_jupyter.version import __version__

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
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


def authentication(door: Door) -> httpx2.Auth | None:
    """What answers a 401 of the server; None where nothing is to."""
    if door.oauth.grant == "none":
        return None
    if door.oauth.grant == "authorization_code":
        return _ByPerson(door)
    return _BySecret(door) if door.oauth.client_secret else _ByKey(door)


class _Remembering(OAuthClientProvider):
    """What all grants share."""

    _door: Door
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


class _ByPerson(_Remembering):
    """A person logs in, in a browser."""

    def __init__(self, door: Door) -> None:
        self._door = door
        where = door.access.callback_url
        is_local = urlsplit(where).hostname in LOOPBACK
        metadata = OAuthClientMetadata(
            redirect_uris=[AnyUrl(where)] if where else None,
            client_name="opspawn",
            software_id="opspawn_jupyter",
            software_version=__version__,
            application_type="native" if is_local else "web",
        )
        super().__init__(
            door.url,
            metadata,
            _Storage(door.access.login, _registered(door.oauth, where)),
            self._ask,
            self._return,
            door.oauth.client_metadata_url or None,
        )

    def _prepare(self) -> None:
        where, client = self._door.access.callback_url, self.context.client_info
        if not where:
            hint = "how browsers reach this server is not known; set OpspawnExtension.public_url"
            raise ToolLoginNeeded(self._door.server, hint=hint)
        if self._door.oauth.client_id or client is None or not client.redirect_uris:
            return
        if AnyUrl(where) not in client.redirect_uris:
            self.context.client_info = None  # it is registered anew

    async def _ask(self, url: str) -> None:
        self._arrival = await self._door.log_in(url)

    async def _return(self) -> AuthorizationCodeResult:
        if self._arrival is None or self._arrival.problem:
            said = self._arrival.problem if self._arrival else "nothing"
            hint = f"the authorization server said: {said}"
            raise ToolLoginNeeded(self._door.server, hint=hint)
        arrival = self._arrival
        return AuthorizationCodeResult(code=arrival.code, state=arrival.state, iss=arrival.issuer)


class _BySecret(_Remembering, ClientCredentialsOAuthProvider):
    """We log in as ourselves, with a secret."""

    def __init__(self, door: Door) -> None:
        self._door = door
        ClientCredentialsOAuthProvider.__init__(
            self,
            door.url,
            _Storage(door.access.login),
            door.oauth.client_id,
            door.oauth.client_secret,
            token_endpoint_auth_method=door.oauth.method,
            issuer=door.oauth.issuer,
        )


class _ByKey(_Remembering, PrivateKeyJWTOAuthProvider):
    """We log in as ourselves, with a signature (RFC 7523 section 2.2)."""

    def __init__(self, door: Door) -> None:
        self._door = door
        signed = SignedJWTParameters(
            issuer=door.oauth.client_id,
            subject=door.oauth.client_id,
            signing_key=door.oauth.private_key,
            signing_algorithm=door.oauth.algorithm,
        )
        PrivateKeyJWTOAuthProvider.__init__(
            self,
            door.url,
            _Storage(door.access.login),
            door.oauth.client_id,
            signed.create_assertion_provider(),
            issuer=door.oauth.issuer,
        )


class _Storage:
    """See the SDK's ``TokenStorage``. A client that the configuration names stays what it is."""

    def __init__(self, login: Login, client: OAuthClientInformationFull | None = None) -> None:
        self._login = login
        self._client = client

    async def get_tokens(self) -> OAuthToken | None:
        kept = self._login.get("tokens")
        return None if kept is None else OAuthToken.model_validate(kept)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        await self._login.put(tokens=_plain(tokens))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        if self._client is not None:
            return self._client.model_copy()
        kept = self._login.get("client")
        return None if kept is None else OAuthClientInformationFull.model_validate(kept)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        if self._client is not None:
            msg = "it leads to another authorization server than the configured issuer"
            raise OAuthFlowError(msg)
        await self._login.put(client=_plain(client_info))


class _Quiet(logging.Filter):
    """What goes wrong is told once, by whoever opens the connection, and without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_is_ours.get() and record.levelno >= logging.ERROR)


logging.getLogger("mcp.client.auth.oauth2").addFilter(_Quiet())


def _registered(oauth: OAuth, where: str) -> OAuthClientInformationFull | None:
    if not oauth.client_id:
        return None
    return OAuthClientInformationFull(
        client_id=oauth.client_id,
        client_secret=oauth.client_secret or None,
        redirect_uris=[AnyUrl(where)] if where else None,
        token_endpoint_auth_method=oauth.method if oauth.client_secret else "none",
        issuer=oauth.issuer or None,
    )


def _plain(model: Any) -> Any:  # one of the SDK's models, or None
    return None if model is None else model.model_dump(mode="json", exclude_none=True)
