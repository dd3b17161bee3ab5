"""References in the configuration: ``${NAME}``, ``${NAME:-otherwise}``, ``${secret:NAME}``.

They are resolved when a server is connected to, only in memory. ``Secrets`` remembers the values
that it gave out, so that no message or record shows one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from opspawn_jupyter.errors import SettingInvalid

_REFERENCE = re.compile(
    r"\$\{(?P<kind>env:|secret:)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)(?::-(?P<default>[^}]*))?\}"
)
#: Shorter values are words that may stand anywhere.
_SHORTEST_SECRET = 6


class Secrets:
    """Values by name, from a file that only its owner may read, else from the environment."""

    def __init__(self, file: Path, environment: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._environment = os.environ if environment is None else environment
        self._given: set[str] = set()

    def expand(self, text: str) -> str:
        """The text with its references resolved. Raises ``SettingInvalid`` that names what is
        not set. Reads a file."""
        return _REFERENCE.sub(self._value, text)

    def conceal(self, value: str) -> None:
        """Count it among the secrets, though it was not given out here."""
        if len(value) >= _SHORTEST_SECRET:
            self._given.add(value)

    def hide(self, text: str) -> str:
        """The text without any secret that was given out."""
        for value in tuple(self._given):
            text = text.replace(value, "***")
        return text

    def _value(self, found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        is_secret = found["kind"] == "secret:"
        value = self._secret(name) if is_secret else self._environment.get(name)
        value = default if value in (None, "") else value
        if value is None:
            what = f"secret {name!r} is not in {self._file}" if is_secret else f"{name} is not set"
            raise SettingInvalid(found[0], hint=what)
        if is_secret:
            self.conceal(value)
        return value

    def _secret(self, name: str) -> str | None:
        value = self._stored().get(name, self._environment.get(name))
        return None if value is None else str(value)

    def _stored(self) -> Mapping[str, object]:
        try:
            if self._file.stat().st_mode & 0o077:
                hint = f"others can read {self._file}; chmod 600 it"
                raise SettingInvalid(hint=hint)
            document = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as failure:
            raise SettingInvalid(str(self._file), hint=f"it cannot be read: {failure}") from failure
        return document if isinstance(document, dict) else {}
