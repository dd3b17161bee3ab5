"""A token that was found good lets its holder in again without a look, and nobody else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider, User
from tornado.httputil import HTTPHeaders

from opspawn_jupyter.server.known_token import KnownToken


class Derived(PasswordIdentityProvider):
    """What it does with a token nobody can know."""


def request_of(provider: IdentityProvider, shown: str = "token good", **more: Any) -> Any:
    """What of Jupyter's handler is looked at, as it is before ``prepare``."""
    headers = HTTPHeaders({"Authorization": shown, **more.get("headers", {})})
    arguments = more.get("arguments", {})
    return SimpleNamespace(
        identity_provider=provider,
        request=SimpleNamespace(headers=headers, arguments=arguments),
        current_user=None,
        token_authenticated=False,
    )


def let_in(handler: Any) -> Any:
    """As ``prepare`` leaves it, where the token was good."""
    handler.current_user, handler.token_authenticated = User(username="somebody"), True
    return handler


@pytest.fixture
def provider() -> IdentityProvider:
    """Jupyter's own."""
    return PasswordIdentityProvider(token="good")


@pytest.fixture
def known(provider: IdentityProvider) -> KnownToken:
    """A token that was let in once."""
    known = KnownToken()
    known.remember(let_in(request_of(provider)))
    return known


def test_whoever_shows_it_again_is_known(known: KnownToken, provider: IdentityProvider) -> None:
    """Or else each request of a program is looked at as if it were the first."""
    again = request_of(provider)
    assert known.recognise(again)
    assert again._jupyter_current_user.username == "somebody"
    assert again._token_authenticated


@pytest.mark.parametrize(
    "other",
    [
        {"shown": "token bad"},
        {"shown": ""},
        {"headers": {"Cookie": "username-localhost-8888=x"}},
        {"arguments": {"token": [b"bad"]}},
    ],
)
def test_whoever_shows_anything_else_is_looked_at(
    known: KnownToken, provider: IdentityProvider, other: dict[str, Any]
) -> None:
    """A cookie names its user, and a token in the address counts for more than a header."""
    handler = request_of(provider, **other)
    assert not known.recognise(handler)
    assert not hasattr(handler, "_jupyter_current_user")


def test_a_token_that_was_changed_lets_nobody_in(
    known: KnownToken, provider: IdentityProvider
) -> None:
    """Somebody may change it because it has become known."""
    provider.token = "new"
    assert not known.recognise(request_of(provider))


def test_a_provider_of_another_kind_is_always_asked() -> None:
    """It may forget a token, or know several users by theirs."""
    known, provider = KnownToken(), Derived(token="good")
    known.remember(let_in(request_of(provider)))
    assert not known.recognise(request_of(provider))


def test_whoever_was_not_let_in_by_a_token_is_not_remembered(provider: IdentityProvider) -> None:
    """A wrong token, shown twice, must not become a right one."""
    known = KnownToken()
    known.remember(request_of(provider, "token bad"))
    assert not known.recognise(request_of(provider, "token bad"))
