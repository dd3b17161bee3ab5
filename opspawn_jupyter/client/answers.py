"""Where the server's routes are, and its answers as our errors; nothing here needs a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from opspawn_jupyter import errors

API = "opspawn/api/v1"


def address(base: str, path: str, query: Mapping[str, Any] | None) -> str:
    """URL of a route of the server at ``base``. Values that are None are left out."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{base}{API}/{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")


def error_of(status: int, body: bytes, url: str) -> errors.OpspawnError:
    """The server's error as our class; what is not ours is told by its status."""
    try:
        envelope = json.loads(body)
        return errors.restore(envelope["code"], envelope["message"], envelope.get("detail") or {})
    except (ValueError, KeyError, TypeError):
        pass  # not our envelope: Jupyter itself, a hub or a proxy answered
    if status in (301, 302, 401, 403):
        return errors.NotAuthenticated(url)
    if status == 404:
        return errors.ServerNotFound(url, hint="the server there runs without the extension")
    return errors.ServerUnreachable(url, hint=f"it answered with HTTP status {status}")


def parsed_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields, by their names in lower case, of an answer's beginning (RFC 9112).
    Raises ``ValueError`` for what is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, _, rest = first.partition(" ")
    if not protocol.startswith("HTTP/"):
        raise ValueError("it does not answer as a web server does")
    fields = (line.partition(":") for line in lines)
    return int(rest[:3]), {name.lower(): value.strip() for name, _, value in fields}
