"""``${{ … }}``: values of earlier steps and parameters in the text of a workflow.

What stands between the braces is one expression (see ``expression``). A text that is one template
as a whole becomes its value, of whatever type; elsewhere the value is written into the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from opspawn_jupyter.model import expression
from opspawn_jupyter.model.expression import TemplateError

OPENING, CLOSING = "${{", "}}"
_LONGEST_TEXT = 100_000
#: What matters while the end of an expression is looked for: it may not be inside a string.
_MARK = re.compile(r"""'[^']*'|"[^"]*"|\}\}""")


def has_template(value: Any) -> bool:
    """Whether there is one anywhere in the value."""
    return next(_texts(value), None) is not None


def expressions(value: Any) -> Iterator[str]:
    """Every expression in the value. Raises ``TemplateError`` for a template without its end."""
    for text in _texts(value):
        yield from (inner for _, inner in _pieces(text) if inner is not None)


def references(value: Any) -> Iterator[tuple[str, ...]]:
    """The paths that the templates of the value name, as ``("tasks", "ingest", "outputs", "x")``.

    Raises ``TemplateError`` for an expression that would be refused.
    """
    for inner in expressions(value):
        yield from expression.references(inner)


def resolve(value: Any, scope: Mapping[str, Any]) -> Any:
    """The value with its templates replaced. Raises ``TemplateError``."""
    if isinstance(value, str):
        return _resolve_text(value, scope)
    if isinstance(value, Mapping):
        return {key: resolve(item, scope) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(item, scope) for item in value]
    return value


def is_true(text: str, scope: Mapping[str, Any]) -> bool:
    """Whether a condition holds; one without braces is an expression as a whole."""
    bare = text if OPENING in text else f"{OPENING} {text} {CLOSING}"
    value = resolve(bare, scope)
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "0", "no", "null", "none")
    return bool(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if OPENING in value:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _resolve_text(text: str, scope: Mapping[str, Any]) -> Any:
    if OPENING not in text:
        return text
    pieces = list(_pieces(text.strip()))
    if len(pieces) == 1 and pieces[0][1] is not None and not pieces[0][0]:
        return expression.value(pieces[0][1], scope)
    filled = "".join(
        before + ("" if inner is None else _written(expression.value(inner, scope)))
        for before, inner in _pieces(text)
    )
    if len(filled) > _LONGEST_TEXT:
        message = f"the text grows above {_LONGEST_TEXT} characters"
        raise TemplateError(message)
    return filled


def _pieces(text: str) -> Iterator[tuple[str, str | None]]:
    """Plain text and the expression after it, in turn; None after the last text."""
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        end = _end(text, start + len(OPENING))
        yield text[position:start], text[start + len(OPENING) : end]
        position = end + len(CLOSING)
    if position < len(text):
        yield text[position:], None


def _end(text: str, start: int) -> int:
    for mark in _MARK.finditer(text, start):
        if mark[0] == CLOSING:
            return mark.start()
    message = f"{OPENING} without its {CLOSING}"
    raise TemplateError(message)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
