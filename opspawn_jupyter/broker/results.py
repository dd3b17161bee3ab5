"""What tools give, held to a size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opspawn_jupyter.broker.config import ServerConfig
from opspawn_jupyter.broker.words import clean
from opspawn_jupyter.errors import ToolServerFault
from opspawn_jupyter.model.tool import Tool, ToolResult

_LONGEST_ERROR = 2_000


def size_bytes(result: ToolResult) -> int:
    """How much it takes as JSON."""
    return _size([result.content, result.structured])


def checked(config: ServerConfig, tool: Tool, result: ToolResult) -> ToolResult:
    """The result, if it is of a size that may be passed on. Raises ``ToolServerFault``."""
    _hold(config, tool.full_name, size_bytes(result))
    if not result.is_error:
        return result
    return replace(result, content=tuple(_calm(part) for part in result.content))


def small(config: ServerConfig, parts: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The parts, if they are of a size that may be passed on. Raises ``ToolServerFault``."""
    _hold(config, config.name, _size(parts))
    return parts


def _calm(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """An error's text is shown as it is, so it may not paint on the screen."""
    if part.get("type") != "text":
        return part
    return {**part, "text": clean(str(part.get("text", "")), _LONGEST_ERROR)}


def _hold(config: ServerConfig, what: str, size: int) -> None:
    limit = config.rules.max_result_bytes
    if size > limit:
        hint = f"its result has {size} bytes, above the limit of {limit} (max_result_bytes)"
        raise ToolServerFault(what, hint=hint)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
