"""``http_post``: tell somebody's HTTP interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from opspawn_jupyter.plugins.configuration import StrictConfig
from opspawn_jupyter.plugins.secrets import resolved

_ANSWER_BYTES = 1 << 20


class HttpPost:
    """Send JSON to an address; any answer but 2xx fails the step."""

    outputs = ("status", "answer")

    class Config(StrictConfig):
        """A header may hold ``${secret:NAME}``, a variable of the server's environment."""

        url: str = Field(pattern=r"^https?://[^\s/]+")
        #: Any JSON value.
        body: Any = None
        headers: dict[str, str] = Field(default_factory=dict)
        timeout_seconds: float = Field(default=30.0, gt=0, le=3600)

    def run(self, config: Config, context: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """``status``, and ``answer``: its JSON, or its text. Raises ``ConnectionError``."""
        request = urllib.request.Request(  # noqa: S310  # the pattern allows http and https only
            config.url,
            data=json.dumps(config.body).encode(),
            headers={
                "Content-Type": "application/json",
                **{name: resolved(value) for name, value in config.headers.items()},
            },
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=config.timeout_seconds) as answer:  # noqa: S310
                return {"status": answer.status, "answer": _read(answer)}
        except urllib.error.HTTPError as refusal:
            with refusal:
                message = f"{config.url} answered {refusal.code}: {_read(refusal)}"
            raise ConnectionError(message) from None
        except urllib.error.URLError as failure:
            message = f"{config.url} cannot be reached: {failure.reason}"
            raise ConnectionError(message) from None


def _read(answer: Any) -> Any:
    text = answer.read(_ANSWER_BYTES).decode("utf-8", "backslashreplace")
    try:
        return json.loads(text)
    except ValueError:
        return text
