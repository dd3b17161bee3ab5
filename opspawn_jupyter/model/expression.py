"""The small language between ``${{`` and ``}}``.

Names and what lies in them (``tasks.ingest.outputs.rows``, ``parameters.year``, ``item["city"]``),
literals, comparisons, ``and``, ``or``, ``not``, ``in``, arithmetic on numbers, and a few functions.
An expression is parsed by Python's own parser and then evaluated here, node by node; a node that is
not on the list is refused, so there is nothing that could run code.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

#: What an expression may name.
ROOTS = ("tasks", "parameters", "item", "workflow")

_LONGEST_EXPRESSION = 2_000
_DEEPEST = 50
#: Ids may hold a hyphen, which the parser would take for a minus.
_TASK = re.compile(r"\btasks\.([A-Za-z_][\w-]*)")


class TemplateError(Exception):
    """Why a template has no value."""


def value(expression: str, scope: Mapping[str, Any]) -> Any:
    """What it stands for. Raises ``TemplateError``."""
    tree = _parsed(expression)
    try:
        return _evaluate(tree, scope)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as failure:
        message = f"{expression.strip()!r} has no value: {failure}"
        raise TemplateError(message) from failure


def references(expression: str) -> list[tuple[str, ...]]:
    """The paths that it names, as ``("tasks", "ingest", "outputs", "x")``.

    Raises ``TemplateError`` for what would be refused whatever the values are.
    """
    tree = _parsed(expression)
    for node in ast.walk(tree):
        _check(node)
    return list(_paths(tree))


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> ast.expr:
    source = _TASK.sub(r'tasks["\1"]', expression.strip())
    if not source or len(source) > _LONGEST_EXPRESSION:
        message = f"an expression has 1 to {_LONGEST_EXPRESSION} characters"
        raise TemplateError(message)
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as failure:
        message = f"{expression.strip()[:80]!r} is not an expression"
        raise TemplateError(message) from failure
    if _depth(tree) > _DEEPEST:
        message = f"an expression is nested at most {_DEEPEST} deep"
        raise TemplateError(message)
    return tree


def _depth(tree: ast.AST) -> int:
    """How deep it is nested; without recursion, for that is what is to be kept away."""
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _check(node: ast.AST) -> None:
    if isinstance(node, ast.expr) and type(node) not in _EVALUATORS:
        _refuse(node)
    if isinstance(node, ast.Name) and node.id not in {*ROOTS, *_FUNCTIONS, *_NAMES}:
        message = f"{node.id!r} is not known; a template may name {', '.join(ROOTS)}"
        raise TemplateError(message)
    if isinstance(node, ast.Call):
        _function(node)
    if isinstance(node, ast.BinOp):
        _check_arithmetic(node)
    if isinstance(node, ast.Attribute) and not isinstance(
        node.value, (ast.Name, ast.Attribute, ast.Subscript)
    ):
        _refuse(node)


def _check_arithmetic(node: ast.BinOp) -> None:
    if type(node.op) not in _OPERATIONS:
        _refuse(node)
    for side in (node.left, node.right):
        if isinstance(side, ast.Constant):
            _number(side.value)


def _paths(tree: ast.expr) -> Iterator[tuple[str, ...]]:
    path = _path(tree)
    if path is not None:
        yield path
        return
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            yield from _paths(child)


def _path(node: ast.expr) -> tuple[str, ...] | None:
    if isinstance(node, ast.Name):
        return (node.id,) if node.id in ROOTS else None
    if isinstance(node, ast.Attribute):
        base, name = _path(node.value), node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        base, name = _path(node.value), str(node.slice.value)
    else:
        return None
    return (*base, name) if base is not None else None


def _evaluate(node: ast.expr, scope: Mapping[str, Any]) -> Any:
    evaluator = _EVALUATORS.get(type(node)) or _refuse(node)
    return evaluator(node, lambda child: _evaluate(child, scope), scope)


def _refuse(node: ast.expr) -> Any:
    message = f"{ast.unparse(node)[:80]!r} is not allowed in a template"
    raise TemplateError(message)


_Evaluate = Callable[[ast.expr], Any]


def _constant(node: Any, _evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    if isinstance(node.value, (str, int, float, bool)) or node.value is None:
        return node.value
    return _refuse(node)


def _name(node: Any, _evaluate: _Evaluate, scope: Mapping[str, Any]) -> Any:
    if node.id in _NAMES:
        return _NAMES[node.id]
    if node.id not in scope:
        message = f"there is no {node.id!r} here"
        raise TemplateError(message)
    return scope[node.id]


def _attribute(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    return _item(evaluate(node.value), node.attr, node)


def _subscript(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    return _item(evaluate(node.value), evaluate(node.slice), node)


def _item(value: Any, key: Any, node: ast.expr) -> Any:
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        known = ", ".join(map(str, list(value)[:20])) or "nothing"
        message = f"{ast.unparse(node)!r} is not there; there is {known}"
        raise TemplateError(message)
    if isinstance(value, (Sequence)) and isinstance(key, int):
        try:
            return value[key]
        except IndexError:
            message = f"{ast.unparse(node)!r} is not there; the list has {len(value)} items"
            raise TemplateError(message) from None
    message = f"{ast.unparse(node)!r} is not there"
    raise TemplateError(message)


def _sequence(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    return [evaluate(item) for item in node.elts]


def _compare(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> bool:
    left = evaluate(node.left)
    for operation, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate(right_node)
        if not _COMPARISONS[type(operation)](left, right):
            return False
        left = right
    return True


def _boolean(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    is_and = isinstance(node.op, ast.And)
    value = None
    for operand in node.values:
        value = evaluate(operand)
        if bool(value) is not is_and:
            break
    return value


def _unary(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    value = evaluate(node.operand)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub):
        return -_number(value)
    return _refuse(node)


def _arithmetic(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    operation = _OPERATIONS.get(type(node.op)) or _refuse(node)
    return operation(_number(evaluate(node.left)), _number(evaluate(node.right)))


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        message = f"arithmetic takes numbers, not {value!r}"
        raise TemplateError(message)
    return value


def _choice(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    return evaluate(node.body if evaluate(node.test) else node.orelse)


def _call(node: Any, evaluate: _Evaluate, _scope: Mapping[str, Any]) -> Any:
    return _function(node)(*(evaluate(argument) for argument in node.args))


def _function(node: ast.Call) -> Callable[..., Any]:
    if isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords:
        return _FUNCTIONS[node.func.id]
    message = f"a template may call {', '.join(_FUNCTIONS)}, not {ast.unparse(node.func)[:80]!r}"
    raise TemplateError(message)


#: JSON's and YAML's words beside Python's.
_NAMES: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": len,
    "min": min,
    "max": max,
    "sum": sum,
    "str": str,
    "int": int,
    "float": float,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, whole: item in whole,
    ast.NotIn: lambda item, whole: item not in whole,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_EVALUATORS: Mapping[type[ast.expr], Callable[[Any, _Evaluate, Mapping[str, Any]], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.BinOp: _arithmetic,
    ast.IfExp: _choice,
    ast.Call: _call,
}
