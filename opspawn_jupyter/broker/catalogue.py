"""The tools as callers see them: cleaned, permitted or not, and as they were approved or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from opspawn_jupyter.broker.approvals import Approvals, digest_of
from opspawn_jupyter.broker.config import Rules, ServerConfig
from opspawn_jupyter.broker.ports import Definition
from opspawn_jupyter.broker.words import clean, is_tool_name
from opspawn_jupyter.model.tool import Permission, Tool

#: Tools of one server; the rest is left out.
_MOST_TOOLS = 2_000
_CHANGED = "its definition is not the one that was approved"


def tools(
    config: ServerConfig, definitions: Sequence[Definition], approvals: Approvals
) -> Iterator[Tool]:
    """What the server offers. Names that nobody could call, or that come twice, are left out."""
    seen = set()
    for definition in definitions[:_MOST_TOOLS]:
        name = str(definition.get("name", ""))
        if is_tool_name(name) and name not in seen:
            seen.add(name)
            yield _tool(config, name, definition, approvals)


def permission(rules: Rules, tool: str) -> Permission:
    """What the configuration says of the tool: the strictest rule that names it."""
    if _is_one_of(tool, rules.deny) or not _is_one_of(tool, rules.allow):
        return Permission.DENY
    return Permission.ASK if _is_one_of(tool, rules.ask) else Permission.ALLOW


def _is_one_of(tool: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tool, pattern) for pattern in patterns)


def _tool(
    config: ServerConfig, name: str, definition: Mapping[str, Any], approvals: Approvals
) -> Tool:
    digest = digest_of(definition)
    is_pinned = approvals.is_pinned(config.name, name, digest)
    return Tool(
        server=config.name,
        name=name,
        description=clean(str(definition.get("description") or "")),
        input_schema=_cleaned(definition.get("inputSchema") or {}),
        output_schema=_cleaned(definition.get("outputSchema")),
        hints=_cleaned(definition.get("annotations") or {}),
        permission=permission(config.rules, name),
        digest=digest,
        problem=None if is_pinned else _CHANGED,
    )


def _cleaned(value: Any) -> Any:
    """A schema whose texts are harmless too: models read them like the description."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
