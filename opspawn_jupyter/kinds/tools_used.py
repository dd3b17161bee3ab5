"""Which MCP tools a notebook calls, as its code says it: ``mcp.<server>.<tool>``.

A submission that names no tools gets these, so that a task can do what its pinned source shows
and nothing else. What code makes up at run time is not seen; such a notebook names its tools.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any


def tools_used(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of the tools that the code cells call, in alphabetical order."""
    sources = list(_sources(document))
    if not any("mcp" in source for source in sources):
        return ()  # nothing to parse: without the name there is no call
    trees = [tree for tree in map(_tree, sources) if tree is not None]
    aliases = {alias for tree in trees for alias in _aliases(tree)}
    found = {name for tree in trees for name in _names(tree, aliases)} if aliases else set()
    return tuple(sorted(found))


def _sources(document: Mapping[str, Any]) -> Iterator[str]:
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            source = cell["source"]
            yield source if isinstance(source, str) else "".join(source)


def _tree(source: str) -> ast.Module | None:
    """The cell as Python, without IPython's own lines."""
    plain = "\n".join(
        "pass" if line.startswith(("%", "!")) else line for line in source.splitlines()
    )
    try:
        return ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _aliases(tree: ast.Module) -> Iterator[str]:
    """Names under which the cell knows ``opspawn_jupyter.mcp``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "opspawn_jupyter":
            yield from (one.asname or one.name for one in node.names if one.name == "mcp")


def _names(tree: ast.Module, aliases: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        tool, within = _step(node)
        server, base = _step(within)
        if tool and server and isinstance(base, ast.Name) and base.id in aliases:
            yield f"{server}.{tool}"


def _step(node: ast.AST | None) -> tuple[str, ast.AST | None]:
    """Name and base of ``base.name`` or ``base["name"]``."""
    if isinstance(node, ast.Attribute):
        # An underscore may stand for a letter that Python cannot have there.
        return node.attr.replace("_", "[_-]"), node.value
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value), node.value
    return "", None
