"""What foreign servers say, made harmless: their words reach people and models."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from opspawn_jupyter.model.tool import SEPARATOR

#: Longest name of a tool that every MCP client takes.
_LONGEST_NAME = 64
_LONGEST_TEXT = 8_192
_TOOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
#: Categories that show nothing, or change how other letters are shown (bidirectional marks, tags,
#: zero-width letters), by which text is hidden from people and not from models.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


def clean(text: str, longest: int = _LONGEST_TEXT) -> str:
    """The text without escapes and invisible letters, cut to a length."""
    plain = _ESCAPES.sub("", text)
    seen = "".join(
        letter
        for letter in plain
        if letter in "\n\t" or unicodedata.category(letter) not in _INVISIBLE
    )
    return seen if len(seen) <= longest else f"{seen[:longest]} …"


def is_tool_name(name: str) -> bool:
    """Whether the name can be shown and called."""
    return _TOOL_NAME.fullmatch(name) is not None


def mcp_name(server: str, tool: str) -> str:
    """The tool's name for MCP clients. One that is too long or has other letters gets a hash, so
    that no two tools share a name."""
    name = f"{server}{SEPARATOR}{tool}"
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if plain == name and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST_NAME - 9]}_{digest}"
