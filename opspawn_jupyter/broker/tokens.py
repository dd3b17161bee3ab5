"""What logins gave: tokens, and the clients that we are registered as, in a file that only this
account can read.

Each login is that of one server's sharers (everybody, a user, or a task), and is bound to the
address and the client that it was made for: where the configuration names others, it is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.files import write_json

logger = logging.getLogger(__name__)

_SECRETS = ("access_token", "refresh_token", "client_secret")


class Tokens:
    """All logins, by server and sharers."""

    def __init__(self, file: Path, conceal: Callable[[str], None]) -> None:
        self._file = file
        self._conceal = conceal
        self._logins: dict[str, dict[str, dict[str, Any]]] = {}
        self._writing = asyncio.Lock()

    def load(self) -> None:
        """Read what was kept before. Reads a file; called once, before all else."""
        try:
            if self._file.stat().st_mode & 0o077:
                logger.error("logins are not used, for others can read them file=%s", self._file)
                return
            kept = json.loads(self._file.read_bytes())
            self._logins = {server: dict(logins) for server, logins in kept["logins"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
            logger.error("logins cannot be read file=%s reason=%s", self._file, failure)
        for logins in self._logins.values():
            for login in logins.values():
                self._hide(login)

    def login(self, server: str, sharers: str, bound_to: str) -> Login:
        """The place of one login, filled or not."""
        return Login(self, server, sharers, bound_to)

    def get(self, server: str, sharers: str) -> Mapping[str, Any]:
        """What is kept of a login; nothing where there is none."""
        return self._logins.get(server, {}).get(sharers, {})

    async def put(self, server: str, sharers: str, kept: Mapping[str, Any]) -> None:
        """Keep this of a login. Raises ``StoreUnavailable``."""
        self._hide(kept)
        self._logins.setdefault(server, {})[sharers] = dict(kept)
        await self._save()

    async def forget(self, server: str, sharers: str) -> None:
        """Log out, as far as that is ours to do."""
        if self._logins.get(server, {}).pop(sharers, None) is not None:
            await self._save()

    async def forget_all(self, sharers: str) -> None:
        """These sharers are gone, with all their logins."""
        gone = [logins.pop(sharers, None) for logins in self._logins.values()]
        if any(one is not None for one in gone):
            await self._save()

    def _hide(self, kept: Mapping[str, Any]) -> None:
        for part in kept.values():
            if isinstance(part, Mapping):
                for name in _SECRETS:
                    self._conceal(str(part.get(name) or ""))

    async def _save(self) -> None:
        async with self._writing:
            kept = json.loads(json.dumps({"logins": self._logins}))  # it may change meanwhile
            try:
                await asyncio.to_thread(write_json, self._file, kept, 0o600)
            except OSError as failure:
                raise StoreUnavailable(str(self._file), hint=str(failure.strerror)) from failure


class Login:
    """One login's place."""

    def __init__(self, tokens: Tokens, server: str, sharers: str, bound_to: str) -> None:
        self._tokens = tokens
        self._key = (server, sharers)
        self._bound_to = bound_to

    def get(self, part: str) -> Any:
        """A part of what is kept, or None."""
        kept = self._tokens.get(*self._key)
        return kept.get(part) if kept.get("bound_to") == self._bound_to else None

    async def put(self, **parts: Any) -> None:
        """Keep these parts as well."""
        kept = self._tokens.get(*self._key)
        before = kept if kept.get("bound_to") == self._bound_to else {}
        await self._tokens.put(*self._key, {**before, **parts, "bound_to": self._bound_to})
