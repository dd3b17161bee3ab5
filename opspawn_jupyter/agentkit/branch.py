"""The beginning of a tape, with another end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.agentkit.tape import UnitKind
from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.agent import CODE_TOOL, ResumeRequest

Unit = Mapping[str, Any]


def branched(units: Sequence[Unit], request: ResumeRequest) -> list[Unit]:
    """The units to go on from. Raises ``InvalidRequest`` where there is no such cell."""
    if request.cell is None:
        if request.code is not None:
            raise InvalidRequest("code", hint="say which cell it is for")
        return [*units, *_remark(request)]
    place, reply = _reply(units, request.cell)
    before = list(units[:place])
    if request.code is None:
        return [*before, *_remark(request)]
    edited, earlier = _edited(reply, request.cell, request.code)
    kept = units[place + 1 : place + 1 + earlier]
    return [*before, edited, *kept]


def _remark(request: ResumeRequest) -> list[Unit]:
    if request.remark is None:
        return []
    return [{"kind": UnitKind.REMARK.value, "asked": "", "result": request.remark}]


def _reply(units: Sequence[Unit], cell: str) -> tuple[int, Unit]:
    """The reply that called for the cell, and where it is."""
    for place, unit in enumerate(units):
        calls = unit["result"]["calls"] if unit["kind"] == UnitKind.REPLY else ()
        if any(call["id"] == cell for call in calls):
            return place, unit
    raise InvalidRequest(cell, hint="no call of the agent has this id; its cells' ids are theirs")


def _edited(unit: Unit, cell: str, code: str) -> tuple[Unit, int]:
    """The reply up to the call, which gets the code; and how many calls come before it."""
    calls = list(unit["result"]["calls"])
    place = next(number for number, call in enumerate(calls) if call["id"] == cell)
    if calls[place]["name"] != CODE_TOOL:
        raise InvalidRequest(cell, hint=f"only a cell of {CODE_TOOL} can be given other code")
    calls[place] = {**calls[place], "arguments": json.dumps({"code": code})}
    return {**unit, "result": {**unit["result"], "calls": calls[: place + 1]}}, place
