"""JSON compared by value: vega, plotly, geometry, widgets' states."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from opspawn_jupyter.audit import text
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.text import Compared
from opspawn_jupyter.model.audit import Sameness, worst

#: Members that name a thing and say nothing of it.
_NAMES = frozenset({"id", "uid", "uuid", "model_id", "docid", "root_id", "roots", "layout_id"})
_MODEL = re.compile(r"^IPY_MODEL_\w+$")
_MOST_NOTED = 5


def compare(stored: Any, fresh: Any, rules: Rules) -> Compared:
    """Two values of JSON, either parsed or as text."""
    left, right = _parsed(stored), _parsed(fresh)
    if left == right:
        return Compared(sameness=Sameness.IDENTICAL)
    found = list(_walk(left, right, "", rules))
    different = [note for sameness, note in found if sameness is Sameness.DIFFERENT]
    sameness = worst([Sameness.NORMALISED, *(one for one, _ in found)])
    return Compared(sameness=sameness, notes=tuple(different[:_MOST_NOTED]))


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _walk(left: Any, right: Any, path: str, rules: Rules) -> Iterator[tuple[Sameness, str]]:
    if isinstance(left, dict) and isinstance(right, dict):
        yield from _members(left, right, path, rules)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _walk(one, other, f"{path}[{place}]", rules)
    elif isinstance(left, str) and isinstance(right, str):
        yield _strings(left, right, path, rules)
    elif left != right or type(left) is not type(right):
        yield _numbers(left, right, path, rules)


def _members(
    left: dict[str, Any], right: dict[str, Any], path: str, rules: Rules
) -> Iterator[tuple[Sameness, str]]:
    for name in sorted({*left, *right}):
        here = f"{path}.{name}"
        if name in _NAMES:
            continue
        if name not in left or name not in right:
            yield Sameness.DIFFERENT, f"{here} is {'new' if name in right else 'missing'}"
        else:
            yield from _walk(left[name], right[name], here, rules)


def _strings(left: str, right: str, path: str, rules: Rules) -> tuple[Sameness, str]:
    if _MODEL.match(left) and _MODEL.match(right):
        return Sameness.NORMALISED, ""
    compared = text.compare(left, right, rules)
    return compared.sameness, f"{path}: {' '.join(compared.notes)}"


def _numbers(left: Any, right: Any, path: str, rules: Rules) -> tuple[Sameness, str]:
    if float in (type(left), type(right)) and _are_close(left, right, rules):
        return Sameness.TOLERANCE, ""
    return Sameness.DIFFERENT, f"{path}: {left!r} became {right!r}"[:200]


def _are_close(left: Any, right: Any, rules: Rules) -> bool:
    if not {type(left), type(right)} <= {int, float}:
        return False
    both_nan = math.isnan(left) and math.isnan(right)
    return both_nan or math.isclose(left, right, rel_tol=rules.relative, abs_tol=rules.absolute)
