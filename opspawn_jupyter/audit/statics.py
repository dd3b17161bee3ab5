"""What a notebook's text tells without running it: imports, names from nowhere, odd counts."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opspawn_jupyter.audit.comparison import code_cells

#: What a kernel puts into a notebook's namespace.
_GIVEN = frozenset(
    {*dir(builtins), "get_ipython", "display", "In", "Out", "_", "__", "___", "_i", "_ii", "exit",
     "quit", "_oh", "_dh", "__name__", "__file__", "__builtins__"}
)  # fmt: skip
#: Magics after which nobody can tell which names there are.
_OPAQUE_MAGICS = ("%pylab", "%run", "%load", "%reload_ext", "%store", "%cython", "%%cython")


@dataclass(kw_only=True)
class Static:
    """What was found by reading."""

    #: Top-level modules by the first cell that imports them.
    imports: dict[str, int] = field(default_factory=dict)
    #: Names that no earlier cell defines, by the cell that uses them.
    unknown_names: dict[str, int] = field(default_factory=dict)
    #: Oddities of the file: evidence of how it was stored.
    findings: list[str] = field(default_factory=list)


def read(notebook: Mapping[str, Any]) -> Static:
    """Read a Python notebook."""
    found = Static(findings=list(_counts(notebook)))
    known: set[str] = set(_GIVEN)
    is_opaque = False
    deferred: dict[str, int] = {}
    for index, cell in code_cells(notebook).items():
        source = "".join(cell["source"])
        is_opaque = is_opaque or _hides_names(source)
        parsed = _parsed(source)
        if parsed is None:
            continue
        for module in _imports(parsed[0]):
            found.imports.setdefault(module, index)
        is_opaque = is_opaque or _has_star(parsed[0])
        _names(parsed[1], known, found.unknown_names, deferred, index)
    found.unknown_names.update({n: i for n, i in deferred.items() if n not in known})
    if is_opaque:
        found.unknown_names.clear()
    return found


def _names(
    source: str, known: set[str], unknown: dict[str, int], deferred: dict[str, int], index: int
) -> None:
    """Take in what one cell defines, and note what it uses without a definition."""
    table = symtable.symtable(source, f"cell {index}", "exec")
    assigned = {one.get_name() for one in table.get_symbols() if _defines(one)}
    for one in table.get_symbols():
        name = one.get_name()
        if one.is_referenced() and name not in known | assigned:
            unknown.setdefault(name, index)
    known |= assigned
    for inner in _inner(table):
        for one in inner.get_symbols():
            if one.is_global() and one.is_assigned():
                known.add(one.get_name())
            elif one.is_global() and one.is_referenced():
                deferred.setdefault(one.get_name(), index)


def _defines(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inner(child)


def _parsed(source: str) -> tuple[ast.Module, str] | None:
    """The cell as Python; None for one that is none."""
    if source.lstrip().startswith("%%"):
        first, _, rest = source.lstrip().partition("\n")
        if not first.startswith(("%%time", "%%capture", "%%prun")):
            return None
        source = rest
    # Not at the top: IPython takes a while to import, and only audits need it.
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        plain: str = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
        return ast.parse(plain), plain
    except (SyntaxError, ValueError, RecursionError):
        return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _has_star(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and any(one.name == "*" for one in node.names)
        for node in ast.walk(tree)
    )


def _hides_names(source: str) -> bool:
    lines = [line.strip() for line in source.splitlines()]
    return any(line.startswith(_OPAQUE_MAGICS) for line in lines) or any(
        word in source for word in ("exec(", "globals()", "locals()", "get_ipython().run_")
    )


def _counts(notebook: Mapping[str, Any]) -> Iterator[str]:
    """Execution counts that a run from top to bottom does not leave."""
    counts = [
        (index, cell.get("execution_count"))
        for index, cell in code_cells(notebook).items()
        if "".join(cell["source"]).strip()
    ]
    given = [count for _, count in counts if count is not None]
    if not given:
        yield "stored without having been run"
        return
    if given != sorted(given):
        yield "stored execution counts are out of order"
    elif given != list(range(1, len(given) + 1)):
        yield "stored execution counts have gaps or do not begin at 1"
    missing = [index for index, count in counts if count is None]
    if missing:
        yield f"stored with {len(missing)} cells that had not been run"


def third_party(imports: Sequence[str], standard: frozenset[str]) -> tuple[str, ...]:
    """The imports that do not come with Python."""
    return tuple(name for name in imports if name not in standard)
