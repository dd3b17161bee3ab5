"""OAuth towards a server over HTTP: who logs in, and as which client.

The protocol is the SDK's: discovery, registration, PKCE, resource indicators, step-up, refresh.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from opspawn_jupyter.broker.config import OAuth
from opspawn_jupyter.broker.remembering import Door, Remembering, Storage
from opspawn_jupyter.errors import ToolLoginNeeded
from opspawn_jupyter.version import __version__

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def authentication(door: Door) -> httpx2.Auth | None:
    """What answers a 401 of the server; None where nothing is to."""
    if door.oauth.grant == "none":
        return None
    if door.oauth.grant == "authorization_code":
        return _ByPerson(door)
    return _BySecret(door) if door.oauth.client_secret else _ByKey(door)


class _ByPerson(Remembering):
    """A person logs in, in a browser."""

    def __init__(self, door: Door) -> None:
        self._door = door
        where = door.access.callback_url
        is_local = urlsplit(where).hostname in _LOOPBACK
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
            Storage(door.access.login, _registered(door.oauth, where)),
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


class _BySecret(Remembering, ClientCredentialsOAuthProvider):
    """We log in as ourselves, with a secret."""

    def __init__(self, door: Door) -> None:
        self._door = door
        ClientCredentialsOAuthProvider.__init__(
            self,
            door.url,
            Storage(door.access.login),
            door.oauth.client_id,
            door.oauth.client_secret,
            token_endpoint_auth_method=door.oauth.method,
            issuer=door.oauth.issuer,
        )


class _ByKey(Remembering, PrivateKeyJWTOAuthProvider):
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
            Storage(door.access.login),
            door.oauth.client_id,
            signed.create_assertion_provider(),
            issuer=door.oauth.issuer,
        )


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
