"""Calls of tools: what the history keeps of them, and what people are asked for them. The calls
themselves are the tool broker's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.question import Question, QuestionState
from opspawn_jupyter.model.record import Change, draft
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.model.tool import Principal, Tool, ToolCall
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import answered, ask, withdraw

#: How long one look at a question lasts; a longer wait is several.
_LOOK_SECONDS = 60.0
_LONGEST_SHOWN = 1_000


async def record_call(o: Orchestration, call: ToolCall) -> None:
    """Keep the record of a call that has ended."""
    change = Change(id=call.id, version=1, content=wire.encode(call), is_open=False)
    await o.record(draft(EventType.TOOL_CALLED, change, call.principal.task_id or ""))


async def is_known(o: Orchestration, call_id: str) -> bool:
    """Whether a call of this id has ended."""
    return await o.store.record(Subject.TOOL_CALL, call_id) is not None


async def may_call(
    o: Orchestration,
    principal: Principal,
    tool: Tool,
    arguments: Mapping[str, Any],
    call_id: str | None,
) -> bool:
    """Whether a person lets this call go on; waits for the answer.

    The question bears the call's id: a caller who comes back with the same id after a restart of
    the server finds the answer that was given meanwhile.
    """
    who = f"task {principal.task_id}" if principal.task_id else principal.user
    question = Question(
        id=call_id or new_id(),
        text=f"May {who} call {tool.full_name}?",
        detail={"tool": tool.full_name, "arguments": _shown(arguments)},
        task_id=principal.task_id or "",
        asked_by=principal.user,
        asked_at=clock.now(),
    )
    settled = await _settled(o, question)
    return settled.is_approved and settled.detail == question.detail


async def put(
    o: Orchestration, principal: Principal, server: str, text: str, schema: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """What a person answers to a tool server; None for a refusal. An answer is a JSON object as
    the schema has it, or plain text where it has a single field."""
    fields = list(schema.get("properties") or {})
    hint = f"{fields[0]} as text" if len(fields) == 1 else f"JSON with {', '.join(fields)}"
    question = Question(
        id=new_id(),
        text=f"{server} asks: {text} (answer {hint}, or no)",
        detail={"server": server, "schema": _shown(schema)},
        choices=(),
        task_id=principal.task_id or "",
        asked_by=principal.user,
        asked_at=clock.now(),
    )
    settled = await _settled(o, question)
    if settled.state is not QuestionState.ANSWERED or settled.answer in (None, "", "no"):
        return None
    return _read(str(settled.answer), fields)


async def _settled(o: Orchestration, question: Question) -> Question:
    """The question once it is answered or withdrawn. It is withdrawn where its caller leaves."""
    await ask(o, question)
    try:
        while True:
            current = await answered(o, question.id, _LOOK_SECONDS)
            if current.state is not QuestionState.OPEN:
                return current
    except asyncio.CancelledError as end:
        if end.args:  # said why: whoever waits has left
            await withdraw(o, question.id)
        raise  # else the server stops, and the caller may come back with the same id


def _read(text: str, fields: list[str]) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, dict):
        return value
    return {fields[0]: value} if len(fields) == 1 else {"answer": text}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
