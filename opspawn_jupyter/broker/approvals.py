"""What people have approved: commands that may run, and what tools said when they were approved.

A tool is pinned when it is seen for the first time on a server that may run. If its definition
is another one later (name, description, schemas, hints: all that models and people go by), it is
refused until somebody has approved the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.files import write_json

logger = logging.getLogger(__name__)


def digest_of(definition: Mapping[str, Any]) -> str:
    """SHA-256 over a tool's definition, whatever the order of its keys."""
    said = json.dumps(definition, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


class Approvals:
    """Digests by name, in one file that only this account can read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._commands: dict[str, str] = {}
        self._tools: dict[str, str] = {}
        self._writing = asyncio.Lock()
        self._is_changed = False
        #: Grows with each change.
        self.version = 0

    def load(self) -> None:
        """Read what was approved before. Reads a file; called once, before all else."""
        try:
            kept = json.loads(self._file.read_bytes())
            self._commands, self._tools = dict(kept["commands"]), dict(kept["tools"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as failure:
            # Without it nothing is approved, which is the safe side.
            logger.error("approvals cannot be read file=%s reason=%s", self._file, failure)

    def may_run(self, config: ServerConfig) -> bool:
        """Whether the server's command may run."""
        return not config.needs_approval or self._commands.get(config.name) == config.digest

    def is_pinned(self, server: str, tool: str, digest: str) -> bool:
        """Whether the tool says what it said when it was pinned; a new one is pinned now."""
        name = f"{server}.{tool}"
        if name not in self._tools:
            self._tools[name] = digest
            self._note_change()
        return self._tools[name] == digest

    async def approve_command(self, config: ServerConfig) -> None:
        """Let it run. What its tools say is pinned anew, because it is another program."""
        self._commands[config.name] = config.digest
        prefix = f"{config.name}."
        self._tools = {k: v for k, v in self._tools.items() if not k.startswith(prefix)}
        self._note_change()
        await self.save()

    async def approve_tool(self, server: str, tool: str, digest: str) -> None:
        """Pin what the tool says now."""
        self._tools[f"{server}.{tool}"] = digest
        self._note_change()
        await self.save()

    def _note_change(self) -> None:
        self._is_changed = True
        self.version += 1

    async def save(self) -> None:
        """Write down what is new. Raises ``StoreUnavailable``."""
        async with self._writing:
            if not self._is_changed:
                return
            self._is_changed = False
            kept = {"commands": dict(self._commands), "tools": dict(self._tools)}
            try:
                await asyncio.to_thread(write_json, self._file, kept, 0o600)
            except OSError as failure:
                self._is_changed = True
                raise StoreUnavailable(str(self._file), hint=str(failure.strerror)) from failure
