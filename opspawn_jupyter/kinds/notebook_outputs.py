"""Which outputs a notebook gives, read from its source without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.kinds.parameters import without_magics


def named(document: Mapping[str, Any]) -> frozenset[str] | None:
    """Names that stand in calls of ``step.output`` and the like; None where the source does not
    tell: a computed name, another language, cells that do not parse, or no such call at all."""
    names: set[str] = set()
    for cell in document["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        try:
            tree = ast.parse(without_magics(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if not _gives(call):
                continue
            name = _name(call)
            if name is None:
                return None
            names.add(name)
    # A notebook may give its outputs through a module that it imports.
    return frozenset(names) or None


def _gives(call: ast.Call) -> bool:
    """``step.output(…)``, its relatives for tables and files, and scrapbook's ``glue``."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    owner = function.value.id
    return (owner, function.attr) in {
        ("step", "output"),
        ("step", "table"),
        ("step", "file"),
        ("sb", "glue"),
        ("scrapbook", "glue"),
    }


def _name(call: ast.Call) -> str | None:
    given = call.args[0] if call.args else None
    for keyword in call.keywords:
        if keyword.arg == "name":
            given = keyword.value
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value
    return None
