"""What a server asks or tells its client in the middle of a request, passed on as the SDK has it.

The same callbacks serve both eras: in the older one the server sends requests of its own, in the
modern one the SDK calls them for what an unfinished result asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp import MCPError
from pydantic import TypeAdapter, ValidationError

from opspawn_jupyter.broker.ports import Change, Changed, Inquiry, NotAnswered, Open

_SAMPLED: TypeAdapter[types.CreateMessageResult | types.CreateMessageResultWithTools] = TypeAdapter(
    types.CreateMessageResult | types.CreateMessageResultWithTools
)
_CHANGES: dict[type[Any], Changed] = {
    types.ToolListChangedNotification: Changed.TOOLS,
    types.PromptListChangedNotification: Changed.PROMPTS,
    types.ResourceListChangedNotification: Changed.RESOURCES,
}


def callbacks(events: Open) -> dict[str, Any]:
    """The callbacks of the SDK's client; those that nobody can answer are left out, by which the
    client does not offer them."""
    every = {
        "elicitation": ("elicitation_callback", _elicitation(events)),
        "sampling": ("sampling_callback", _sampling(events)),
        "roots": ("list_roots_callback", _roots(events)),
    }
    given = dict(every[name] for name in sorted(events.capabilities))

    async def log(params: types.LoggingMessageNotificationParams) -> None:
        await events.log(dumped(params))

    return {**given, "logging_callback": log, "message_handler": _hear(events)}


def dumped(part: Any) -> dict[str, Any]:
    """One of the SDK's records as MCP has it on the wire."""
    said: dict[str, Any] = part.model_dump(by_alias=True, mode="json", exclude_none=True)
    return said


def _elicitation(events: Open) -> Any:  # the SDK's type of it is not public
    async def elicit(ctx: Any, params: Any) -> Any:
        return await _answer(events, ctx, "elicitation/create", params, types.ElicitResult)

    return elicit


def _sampling(events: Open) -> Any:  # as above
    async def sample(ctx: Any, params: Any) -> Any:
        return await _answer(events, ctx, "sampling/createMessage", params, _SAMPLED)

    return sample


def _roots(events: Open) -> Any:  # as above
    async def roots(ctx: Any) -> Any:
        return await _answer(events, ctx, "roots/list", None, types.ListRootsResult)

    return roots


async def _answer(events: Open, ctx: Any, method: str, params: Any, answer: Any) -> Any:
    said: Mapping[str, Any] = {} if params is None else dumped(params)
    asked = {key: value for key, value in said.items() if key != "_meta"}
    try:
        given = await events.ask(Inquiry(key=str(ctx.request_id), method=method, params=asked))
        if isinstance(answer, TypeAdapter):
            return answer.validate_python(given)
        return answer.model_validate(given)
    except NotAnswered as refusal:
        return types.ErrorData(code=types.INVALID_REQUEST, message=str(refusal))
    except MCPError as refusal:  # the caller's own word
        return refusal.error
    except ValidationError:
        return types.ErrorData(code=types.INTERNAL_ERROR, message="the caller answered nonsense")


def _hear(events: Open) -> Any:  # as above
    async def hear(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            events.changed(Change(what=Changed.RESOURCE, uri=str(message.params.uri)))
        elif type(message) in _CHANGES:
            events.changed(Change(what=_CHANGES[type(message)]))

    return hear
