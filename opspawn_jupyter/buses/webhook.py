"""Webhooks: the event and the task as JSON, signed, by HTTP POST.

The signature is the HMAC-SHA256 (RFC 2104) of the body under the server's ``webhook_secret``, as
``X-Opspawn-Signature: sha256=<hexadecimal>``. Addresses come from people who may run code on this
server anyway, so none is forbidden; but redirects are not followed, and logs name the host only.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from opspawn_jupyter.buses.hooks import Undelivered, body
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.version import __version__

_TIMEOUT_SECONDS = 10.0
#: Answers that may be different next time: request time-out, too early, too many requests.
_PASSING = frozenset({408, 425, 429})


def signature(secret: str, content: bytes) -> str:
    """The value of ``X-Opspawn-Signature``."""
    return f"sha256={hmac.new(secret.encode(), content, 'sha256').hexdigest()}"


class Webhook:
    """Sends to addresses."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def send(self, hook: str, event: Event, task: Task) -> None:
        """As ``Sender.send``: any answer from 200 to 299 is a delivery."""
        content = wire.to_json(body(event, task)).encode()
        await post(hook, content, event.type.value, self._secret)


async def post(hook: str, content: bytes, event: str, secret: str) -> None:
    """Send JSON to the address, signed where there is a secret. Raises ``Undelivered``."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"opspawn/{__version__}",
        "X-Opspawn-Event": event,
    }
    if secret:
        headers["X-Opspawn-Signature"] = signature(secret, content)
    request = HTTPRequest(
        hook,
        method="POST",
        body=content,
        headers=headers,
        follow_redirects=False,
        connect_timeout=_TIMEOUT_SECONDS,
        request_timeout=_TIMEOUT_SECONDS,
    )
    try:
        await AsyncHTTPClient().fetch(request)
    except HTTPClientError as answer:
        is_final = 300 <= answer.code < 500 and answer.code not in _PASSING
        raise _undelivered(hook, f"status {answer.code}", is_final=is_final) from answer
    except (OSError, ValueError, TimeoutError) as failure:
        raise _undelivered(hook, type(failure).__name__) from failure


def _undelivered(hook: str, reason: str, *, is_final: bool = False) -> Undelivered:
    return Undelivered(f"{urlsplit(hook).hostname}: {reason}", is_final=is_final)
