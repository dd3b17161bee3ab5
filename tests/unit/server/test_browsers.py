"""Where browsers reach the server."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders

from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.server.browsers import Browsers, configured_address, own_address

HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/me/"}
OWN = "http://127.0.0.1:8888/user/me/"
PAGE = {"Referer": "https://hub.example/user/me/lab/tree/a", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("given", "environment", "address"),
    [
        ("", {}, OWN),
        ("https://set.example/", HUB, "https://set.example/"),
        ("", HUB, ""),
        ("", {**HUB, "JUPYTERHUB_PUBLIC_URL": "https://hub/user/me/"}, "https://hub/user/me/"),
    ],
)
def test_the_configuration_says_it_or_the_hub(
    given: str, environment: dict[str, str], address: str
) -> None:
    """Behind a hub the server's own address is none that a browser reaches."""
    configured = configured_address(given, environment)
    assert Browsers(configured, own_address(OWN, environment)).address == address


def test_a_browser_shows_it() -> None:
    """Most hubs and proxies say nothing; whoever is to log in has a page of ours open."""
    browsers = Browsers("", "")
    browsers.note(HTTPHeaders(PAGE), "/user/me/")
    assert browsers.address == "https://hub.example/user/me/"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**PAGE, "Sec-Fetch-Site": "cross-site"},
        {"Referer": PAGE["Referer"]},
        {**PAGE, "Referer": "about:client"},
    ],
)
def test_no_page_of_another_site_does(headers: dict[str, str]) -> None:
    """Else it could have what a login gives sent to itself."""
    browsers = Browsers("", OWN)
    browsers.note(HTTPHeaders(headers), "/user/me/")
    assert browsers.address == OWN


def test_what_is_configured_stands() -> None:
    browsers = Browsers("https://set.example/", OWN)
    browsers.note(HTTPHeaders(PAGE), "/user/me/")
    assert browsers.address == "https://set.example/"


def test_an_address_for_browsers_is_one() -> None:
    """It goes to authorization servers, which would only say that something is invalid."""
    with pytest.raises(SettingInvalid, match="public_url"):
        configured_address("hub.example", {})
