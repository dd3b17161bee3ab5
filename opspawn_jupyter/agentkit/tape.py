"""The tape: what a run was answered, unit by unit, so that nothing is asked twice.

One JSON object a line, appended and synced before the run goes on. A unit is a model's reply, the
result of a call, or a person's answer, with a digest of what was asked. A run that begins with a
tape takes from it what it asks in the same order; after the last unit it goes on by itself. A
torn last line is a unit that never happened.

A unit may be done twice where the process dies between doing and writing: what a tool does
outside of the kernel can happen again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from opspawn_jupyter import faults
from opspawn_jupyter.errors import TapeMismatch
from opspawn_jupyter.model.clock import now


class UnitKind(StrEnum):
    """What a unit holds."""

    #: What the model answered.
    REPLY = "reply"
    #: What came of a call.
    CALL = "call"
    #: What a person said to a question.
    ANSWER = "answer"
    #: Which tools of MCP servers there were.
    TOOLS = "tools"
    #: What a person added when the run was branched.
    REMARK = "remark"


class Tape:
    """One run's tape, read from where it is and written on."""

    def __init__(self, path: Path, *, is_live: bool = True) -> None:
        self._path = path
        self._is_live = is_live
        self._units = read(path)
        self._position = 0

    @property
    def is_playing(self) -> bool:
        """The next unit is on the tape already."""
        return self._position < len(self._units)

    @property
    def recorded(self) -> int:
        """How many units are on it."""
        return len(self._units)

    @property
    def has_remark(self) -> bool:
        """A remark comes next."""
        return self.is_playing and self._units[self._position]["kind"] == UnitKind.REMARK

    def remark(self) -> str | None:
        """The remark that comes next, where one does."""
        if not self.has_remark:
            return None
        self._position += 1
        return str(self._units[self._position - 1]["result"])

    def taken(self, kind: UnitKind, asked: Any) -> Any:
        """The next unit's result; None where the tape ends before it.

        Raises ``TapeMismatch`` where something else was asked then, or where the tape ends and
        nothing may be done that is not on it.
        """
        if not self.is_playing:
            if self._is_live:
                return None
            raise TapeMismatch(self._position + 1, hint=f"the tape ends before this {kind}")
        unit = self._units[self._position]
        if (unit["kind"], unit["asked"]) != (kind.value, digest(asked)):
            hint = f"it holds a {unit['kind']} where the run asks for another {kind}"
            raise TapeMismatch(self._position + 1, hint=hint)
        self._position += 1
        return unit["result"]

    def put(self, kind: UnitKind, asked: Any, result: Any) -> None:
        """Write a unit down, for good."""
        unit = {
            "unit": len(self._units) + 1,
            "kind": kind.value,
            "at": now().isoformat(),
            "asked": digest(asked),
            "result": result,
        }
        faults.reach("agent.before_unit")
        _append(self._path, unit)
        faults.reach("agent.after_unit")
        self._units.append(unit)
        self._position += 1

    async def unit(
        self, kind: UnitKind, asked: Any, body: Callable[[], Awaitable[Any]]
    ) -> tuple[Any, bool]:
        """What ``body`` gives, or gave when the tape was made; and whether it was done now."""
        known = self.taken(kind, asked)
        if known is not None:
            return known, False
        result = await body()
        self.put(kind, asked, result)
        return result, True


def read(path: Path) -> list[dict[str, Any]]:
    """The units of a tape; none where there is no file. A torn end is cut off."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def written(units: list[Mapping[str, Any]]) -> bytes:
    """A tape of these units."""
    return b"".join(_line(unit) for unit in units)


def digest(asked: Any) -> str:
    """A short name for what was asked."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _line(unit: Mapping[str, Any]) -> bytes:
    return json.dumps(unit, ensure_ascii=True).encode() + b"\n"


def _append(path: Path, unit: Mapping[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        data = _line(unit)
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
