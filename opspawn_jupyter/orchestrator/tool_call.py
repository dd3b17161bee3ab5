"""Calls of tools, as the history keeps them. The calls themselves are the tool broker's."""

from __future__ import annotations

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.record import Change, draft
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.tool import ToolCall
from opspawn_jupyter.orchestrator.context import Orchestration


async def record_call(o: Orchestration, call: ToolCall) -> None:
    """Keep the record of a call that has ended."""
    change = Change(id=call.id, version=1, content=wire.encode(call), is_open=False)
    await o.record(draft(EventType.TOOL_CALLED, change, call.principal.task_id or ""))
