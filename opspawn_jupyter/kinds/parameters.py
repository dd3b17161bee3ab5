"""The parameters that a Python notebook declares, read without running it.

The cell tagged ``parameters`` is parsed, never executed. Each assignment in it declares a
parameter: its annotation gives the type, else a ``# type:`` comment, else the default value. A
comment on the same line is its help. Types are built from a closed list of names, so a notebook
cannot make the server evaluate anything.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Optional, Union

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.notebook import Parameter

ANY = "Any"

#: What a type annotation may name; anything else accepts every value.
_TYPES: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "None": None,
    "Any": Any,
    "List": list,
    "Dict": dict,
    "Tuple": tuple,
    "Sequence": Sequence,
    "Mapping": Mapping,
    "Optional": Optional,
    "Union": Union,
    "Literal": Literal,
}

_TYPE_COMMENT = "type:"


@lru_cache(maxsize=256)
def declared(source: str) -> tuple[Parameter, ...]:
    """The parameters of a ``parameters`` cell, in order; the last assignment to a name counts.

    Raises ``InvalidRequest`` where the cell is not Python.
    """
    code = without_magics(source)
    try:
        body = ast.parse(code).body
    except SyntaxError as failure:
        raise InvalidRequest(
            hint=f"the notebook's parameters cell does not parse: {failure.msg}, "
            f"line {failure.lineno}"
        ) from failure
    comments = _comments(code)
    found = {
        parameter.name: parameter
        for statement in body
        for parameter in _of_statement(statement, comments)
    }
    return tuple(found.values())


def without_magics(source: str) -> str:
    """IPython's own lines are not Python; blank them, keeping the line numbers."""
    lines = source.splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def _comments(code: str) -> dict[int, str]:
    """Comment text by line number; a ``#`` inside a string is none."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _of_statement(statement: ast.stmt, comments: Mapping[int, str]) -> Iterator[Parameter]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        comment = comments.get(statement.end_lineno or 0, "")
        annotation = ast.unparse(statement.annotation)
        yield _parameter(statement.target.id, annotation, statement.value, comment)
    elif isinstance(statement, ast.Assign):
        comment = comments.get(statement.end_lineno or 0, "")
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield _inferred(target.id, statement.value, comment)


def _inferred(name: str, value: ast.expr, comment: str) -> Parameter:
    if comment.startswith(_TYPE_COMMENT):
        declared_type, _, comment = comment.removeprefix(_TYPE_COMMENT).partition("#")
        return _parameter(name, declared_type.strip(), value, comment.strip())
    return _parameter(name, _type_of(value), value, comment)


def _type_of(value: ast.expr) -> str:
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError):
        return ANY  # a computed default tells nothing
    name = type(literal).__name__
    return name if name in ("bool", "int", "float", "str", "list", "dict") else ANY


def _parameter(name: str, type: str, value: ast.expr | None, comment: str) -> Parameter:
    default = "" if value is None else ast.unparse(value)
    return Parameter(name=name, type=type, default=default, help=comment)


def type_of(parameter: Parameter) -> Any:
    """The parameter's type as Python has it; ``Any`` for what the closed list lacks."""
    try:
        return _resolve(ast.parse(parameter.type, mode="eval").body)
    except (SyntaxError, LookupError, TypeError, ValueError):
        return Any


def _resolve(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):  # a quoted annotation
            return _resolve(ast.parse(text, mode="eval").body)
        case ast.Name(id=name):
            return _TYPES[name]
        case ast.Attribute(attr=name):  # typing.Optional
            return _TYPES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_resolve(left), _resolve(right)]  # noqa: UP007  # `None | None` is none
        case ast.Subscript(value=generic, slice=arguments):
            return _subscript(_resolve(generic), arguments)
    raise LookupError(ast.dump(node))


def _subscript(generic: Any, arguments: ast.expr) -> Any:
    items = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
    if generic is Literal:
        return Literal[tuple(ast.literal_eval(item) for item in items)]
    resolved = tuple(... if _is_ellipsis(item) else _resolve(item) for item in items)
    return generic[resolved if len(resolved) > 1 else resolved[0]]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
