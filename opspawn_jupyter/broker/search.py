"""Finding tools by words, for catalogues that are too large to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from opspawn_jupyter.model.tool import Tool

_WORD = re.compile(r"[a-z0-9]+")
#: A word in the name says more than one in the description.
_NAME_WEIGHT = 3.0


def best(tools: Iterable[Tool], query: str, limit: int) -> Sequence[Tool]:
    """Tools that fit the words, the best first. Those that fit none are left out."""
    asked = _words(query)
    ranked = [(_fit(tool, asked), tool) for tool in tools]
    fitting = sorted((one for one in ranked if one[0] > 0), key=lambda one: -one[0])
    return [tool for _, tool in fitting[:limit]]


def _fit(tool: Tool, asked: set[str]) -> float:
    name = _words(f"{tool.server} {tool.name}")
    said = _words(tool.description)
    return sum(_NAME_WEIGHT * _holds(name, word) + _holds(said, word) for word in asked)


def _holds(words: set[str], asked: str) -> float:
    """One for the word itself, half for one that begins so: ``converts`` for ``convert``."""
    if asked in words:
        return 1.0
    return 0.5 if any(word.startswith(asked) or asked.startswith(word) for word in words) else 0.0


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower().replace("_", " ")))
