"""What is kept of an MCP client between its requests, in the era that has sessions."""

from __future__ import annotations

from typing import Any

import mcp_types as types

_LEVEL = "opspawn log level"
#: Of a client of the older era that never said: the specification leaves it to us.
_USUAL_LEVEL = "info"


def connected(ctx: Any) -> Any:
    """The SDK's record of the connection that a request came by."""
    return ctx.session._connection  # noqa: SLF001 (nothing public outlives the request)


def said_level(ctx: Any) -> str | None:
    """The least level of log messages that the client wants; None for none at all."""
    meta = ctx.meta or {}
    if types.LOG_LEVEL_META_KEY in meta:
        return str(meta[types.LOG_LEVEL_META_KEY])
    connection = connected(ctx)
    if connection.session_id is None:
        return None
    return str(connection.state.get(_LEVEL, _USUAL_LEVEL))


async def set_level(ctx: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
    """Answers ``logging/setLevel``."""
    connected(ctx).state[_LEVEL] = params.level
    return types.EmptyResult()
