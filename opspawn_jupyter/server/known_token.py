"""The token that was shown last: who shows it again need not be looked at anew.

Before a handler's turn comes, Jupyter spends most of its time on finding out who asks: of a token's
holder it makes a name up, looks for a cookie twice, and makes one. Programs show the same token
with each request, and no cookie. What Jupyter has found then holds for as long as its identity
provider has the same token.
"""

from __future__ import annotations

from typing import NamedTuple

from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler

#: Those that do with a token what is known of them. One that is derived from them may do more.
_PLAIN = (IdentityProvider, PasswordIdentityProvider)


class _Found(NamedTuple):
    """What Jupyter has found."""

    provider: IdentityProvider
    token: str
    #: As it was shown.
    header: str
    user: User


class KnownToken:
    """The last one. Used from the server's event loop only."""

    def __init__(self) -> None:
        self._found: _Found | None = None

    def recognise(self, handler: JupyterHandler) -> bool:
        """Whether Jupyter need not find out any more who asks: it is told. To be called before
        ``prepare``, and ``remember`` after it where this was not so."""
        found, provider = self._found, handler.identity_provider
        if found is None or found.provider is not provider or found.token != provider.token:
            return False
        if _shown(handler) != found.header:
            return False
        # As it notes them down itself; it asks no further then.
        vars(handler).update(_jupyter_current_user=found.user, _token_authenticated=True)
        return True

    def remember(self, handler: JupyterHandler) -> None:
        """Take note of whom Jupyter has let in, if it was for a token alone."""
        provider, header = handler.identity_provider, _shown(handler)
        if header is None or type(provider) not in _PLAIN or not handler.token_authenticated:
            return
        self._found = _Found(provider, provider.token, header, handler.current_user)


def _shown(handler: JupyterHandler) -> str | None:
    """The header that may hold a token, where nothing else says who asks."""
    request = handler.request
    if "Cookie" in request.headers or "token" in request.arguments:
        return None
    return request.headers.get("Authorization")
