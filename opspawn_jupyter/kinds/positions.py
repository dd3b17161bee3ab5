"""YAML as JSON values that know where they stood.

The document is built from the parser's events without recursion, so that nothing in it can bring
the server down: size, depth and the growth by aliases are bounded, a key that comes twice is a
fault, and every value has its line and column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from opspawn_jupyter.model.fault import Fault

#: Values by their path (``("tasks", 3, "config")``), as (line, column) from 1.
Places = dict[tuple[str | int, ...], tuple[int, int]]

#: Of a file.
LARGEST_BYTES = 4 << 20
_DEEPEST = 60
#: Values after all aliases were followed.
_MOST_VALUES = 500_000

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """What was read."""

    value: Any = None
    places: Places = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class _Stop(Exception):
    """Reading on makes no sense."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.fault = Fault(line=line, column=column, message=message)


@dataclass
class _Node:
    """A value under way."""

    line: int
    column: int
    #: None for what is no mapping.
    keys: list[_Node] | None = None
    #: A mapping's or a sequence's.
    values: list[_Node] = field(default_factory=list)
    is_scalar: bool = False
    #: A scalar as written: what a key is named by, for YAML takes ``on`` for true.
    text: str = ""
    scalar: Any = None
    #: Values in it, itself included.
    size: int = 1


def read(content: bytes) -> Document:
    """The document of the bytes; where it cannot be read, its fault."""
    document = Document()
    try:
        root = _Builder().build(_decoded(content))
        document.value = _plain(root, (), document)
    except _Stop as stop:
        document.faults.append(stop.fault)
    except RecursionError:
        document.faults.append(Fault(line=1, column=1, message="it is nested too deeply"))
    return document


def _decoded(content: bytes) -> str:
    if len(content) > LARGEST_BYTES:
        message = f"the file has {len(content)} bytes; a workflow has at most {LARGEST_BYTES}"
        raise _Stop(message)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = content.count(b"\n", 0, failure.start) + 1
        column = failure.start - content.rfind(b"\n", 0, failure.start)
        raise _Stop("the file is not UTF-8 text", line, column) from failure


class _Builder:
    """Makes a tree of a stream of events."""

    def __init__(self) -> None:
        self._anchors: dict[str, _Node] = {}
        self._size = 0
        self._scalars = yaml.SafeLoader("")

    def build(self, text: str) -> _Node:
        """The root. Raises ``_Stop``."""
        stack: list[tuple[_Node, Any]] = []
        root: _Node | None = None
        for event in _events(text):
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise _Stop("there is a second document; a file holds one workflow", *_place(event))
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                stack.append((self._collection(event, len(stack)), event))
                continue
            if not isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
                continue
            node = self._finished(event, stack)
            if stack:
                _add(stack[-1][0], node)
            else:
                root = node
        if root is None:
            raise _Stop("the file is empty")
        return root

    def _finished(self, event: Any, stack: list[tuple[_Node, Any]]) -> _Node:
        """The value that ends with this event."""
        if isinstance(event, yaml.CollectionEndEvent):
            node, event = stack.pop()
            node.size += sum(item.size for item in (*(node.keys or ()), *node.values))
        elif isinstance(event, yaml.AliasEvent):
            node = self._alias(event)
        else:
            node = self._scalar(event)
        self._count(event)
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _collection(self, event: Any, depth: int) -> _Node:
        if depth >= _DEEPEST:
            message = f"it is nested more than {_DEEPEST} deep"
            raise _Stop(message, *_place(event))
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        return _Node(*_place(event), keys=[] if is_mapping else None)

    def _alias(self, event: Any) -> _Node:
        if event.anchor not in self._anchors:
            message = f"there is no anchor {event.anchor!r} before this"
            raise _Stop(message, *_place(event))
        node = self._anchors[event.anchor]
        self._size += node.size
        return node

    def _scalar(self, event: Any) -> _Node:
        implicit = event.implicit if event.tag in (None, "!") else (False, False)
        tag = event.tag
        if tag in (None, "!"):
            tag = self._scalars.resolve(yaml.ScalarNode, event.value, implicit)
        if tag.endswith(":merge"):
            return _Node(*_place(event), scalar=event.value, is_scalar=True, text=event.value)
        try:
            value = self._scalars.construct_object(yaml.ScalarNode(tag, event.value), deep=True)
        except (yaml.YAMLError, ValueError, OverflowError) as failure:
            reason = getattr(failure, "problem", None) or failure
            message = f"this value cannot be read: {reason}"
            raise _Stop(message, *_place(event)) from failure
        self._scalars.constructed_objects.clear()
        return _Node(*_place(event), scalar=_json(value), is_scalar=True, text=event.value)

    def _count(self, event: Any) -> None:
        self._size += 1
        if self._size > _MOST_VALUES:
            message = f"it holds more than {_MOST_VALUES} values once its aliases are followed"
            raise _Stop(message, *_place(event))


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_PARSER)
    except yaml.YAMLError as failure:
        raise _unreadable(failure) from failure


def _unreadable(failure: yaml.YAMLError) -> _Stop:
    mark = getattr(failure, "problem_mark", None)
    said = str(getattr(failure, "problem", None) or failure).splitlines()[0]
    if "\\t" in said or "cannot start any token" in said:
        said = "a tab or another character that YAML does not allow here; indent with blanks"
    if mark is None:
        return _Stop(f"the file is not YAML: {said}")
    return _Stop(f"the file is not YAML: {said}", mark.line + 1, mark.column + 1)


def _add(parent: _Node, node: _Node) -> None:
    if parent.keys is not None and len(parent.keys) == len(parent.values):
        parent.keys.append(node)
    else:
        parent.values.append(node)


def _json(value: Any) -> Any:
    """Dates and bytes have no JSON."""
    if isinstance(value, date):
        return value.isoformat()
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _plain(node: _Node, path: tuple[str | int, ...], document: Document) -> Any:
    document.places[path] = (node.line, node.column)
    if node.keys is not None:
        return _mapping(node, path, document)
    if node.is_scalar:
        return node.scalar
    return [_plain(item, (*path, i), document) for i, item in enumerate(node.values)]


def _mapping(node: _Node, path: tuple[str | int, ...], document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in zip(node.keys or (), node.values, strict=True):
        if not key.is_scalar:
            document.faults.append(
                Fault(line=key.line, column=key.column, message="a key must be text")
            )
            continue
        name = key.text
        if name == "<<" and value.keys is not None:
            merged |= _mapping(value, path, document)
            continue
        if name in found:
            message = (
                f"{name!r} is given twice; the first is in line {document.places[*path, name][0]}"
            )
            document.faults.append(Fault(line=key.line, column=key.column, message=message))
            continue
        found[name] = _plain(value, (*path, name), document)
        document.places[*path, name] = (key.line, key.column)
    return {**merged, **found}
