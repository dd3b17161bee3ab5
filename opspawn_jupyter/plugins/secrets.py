"""Secrets in a configuration: ``${secret:NAME}`` stands for a variable of the environment."""

from __future__ import annotations

import os
import re

_REFERENCE = re.compile(r"\$\{secret:([A-Za-z_]\w*)\}")


def resolved(text: str) -> str:
    """The text with its secrets in it. Never to be shown, logged or written.

    Raises ``LookupError`` that names the variable which is not set.
    """
    return _REFERENCE.sub(_value, text)


def _value(reference: re.Match[str]) -> str:
    name = reference[1]
    if name not in os.environ:
        message = f"the secret {name} is not set: start the server with it in its environment"
        raise LookupError(message)
    return os.environ[name]
