"""Where browsers reach this server. It cannot know by itself what stands before it: so it goes by
what the configuration says, else by what a browser showed, else by its own address.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders

from opspawn_jupyter.errors import SettingInvalid


class Browsers:
    """The address that they use."""

    def __init__(self, configured: str, own: str) -> None:
        self._configured = configured
        self._own = own
        self._shown = ""

    def note(self, headers: HTTPHeaders, base_url: str) -> None:
        """A page of ours asked for something. ``Sec-Fetch-Site`` (W3C Fetch Metadata) is the
        browser's word, which no page of another site can give."""
        page = urlsplit(headers.get("Referer", ""))
        if headers.get("Sec-Fetch-Site") == "same-origin" and page.scheme in ("http", "https"):
            self._shown = f"{page.scheme}://{page.netloc}{base_url}"

    @property
    def address(self) -> str:
        """With the base URL; empty where nobody knows."""
        return self._configured or self._shown or self._own


def configured_address(given: str, environment: Mapping[str, str]) -> str:
    """What the setting says, or JupyterHub. Raises ``SettingInvalid``."""
    if given and urlsplit(given).scheme not in ("http", "https"):
        raise SettingInvalid(given, hint="public_url must begin with http:// or https://")
    return given or environment.get("JUPYTERHUB_PUBLIC_URL", "")


def own_address(url: str, environment: Mapping[str, str]) -> str:
    """Where processes of this machine reach the server, if browsers may do so as well: behind a
    hub none does."""
    return "" if "JUPYTERHUB_SERVICE_PREFIX" in environment else url
