"""The notebook as the bytes of its file.

They are those that nbformat writes, without the copy that it makes of everything, and without the
part of Python's encoder that is not in C, which ``indent`` leads to: a quarter of the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

import nbformat
from nbformat.v4.rwbase import _split_mimebundle

_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
_BUNDLES = ("execute_result", "display_data")
_OUTPUTS_DEPTH = 3
_CONSTANTS: Mapping[bool | None, str] = {None: "null", True: "true", False: "false"}


class Rendered(str):
    """JSON of a part, which stands in the whole as it is."""

    __slots__ = ()


def _number(value: float) -> str:
    """Python writes most as JSON does."""
    return repr(value) if isfinite(value) else json.dumps(value)


#: How values are written that have none in them, by their class, of which most are.
_SCALARS: Mapping[type, Callable[[Any], str]] = {
    Rendered: str,
    str: encode_basestring,
    int: repr,
    float: _number,
    bool: _CONSTANTS.__getitem__,
    type(None): _CONSTANTS.__getitem__,
}


def rendered(value: Any, depth: int) -> Rendered:
    """The JSON of a part that lies so deep."""
    return Rendered(_text(value, "\n" + " " * depth))


def rendered_outputs(outputs: Sequence[Any]) -> Rendered:
    """Those of a cell."""
    return rendered([_output(one) for one in outputs], _OUTPUTS_DEPTH)


def serialised(notebook: Any) -> bytes:
    """Half of a surrogate pair, which a kernel can print, becomes the JSON escape for it."""
    try:
        return encoded(joined(notebook))
    except TypeError:  # what is no JSON of itself, such as bytes, which nbformat knows how to write
        return encoded(nbformat.v4.writes(notebook) + "\n")


def joined(notebook: Any) -> str:
    """The text of the file, of which parts may be rendered. Raises ``TypeError`` for what is no
    JSON."""
    return _text(_in_lines(notebook), "\n") + "\n"


def encoded(text: str) -> bytes:
    """The text as the bytes of the file."""
    return text.encode("utf-8", "backslashreplace")


def _in_lines(notebook: Any) -> dict[str, Any]:
    """As it lies in files: long texts in lines, without what is not to be kept."""
    metadata = {k: v for k, v in notebook["metadata"].items() if k not in _TRANSIENT}
    return {**notebook, "metadata": metadata, "cells": [_cell(one) for one in notebook["cells"]]}


def _cell(cell: Any) -> Any:
    if type(cell) is Rendered:
        return cell
    kept = {**cell, "source": _lines(cell.get("source"))} if "source" in cell else dict(cell)
    if "trusted" in cell["metadata"]:
        kept["metadata"] = {k: v for k, v in cell["metadata"].items() if k != "trusted"}
    if cell.get("attachments"):
        kept["attachments"] = {k: _split_mimebundle({**v}) for k, v in cell["attachments"].items()}
    if cell["cell_type"] == "code" and type(cell["outputs"]) is not Rendered:
        kept["outputs"] = [_output(one) for one in cell["outputs"]]
    return kept


def _output(output: Any) -> Mapping[str, Any]:
    kind = output["output_type"]
    if kind == "stream":
        return {**output, "text": _lines(output["text"])}
    if kind in _BUNDLES and "data" in output:
        return {**output, "data": _split_mimebundle({**output["data"]})}
    found: Mapping[str, Any] = output
    return found


def _lines(text: Any) -> Any:
    is_whole = isinstance(text, str) and type(text) is not Rendered
    return text.splitlines(keepends=True) if is_whole else text


def _text(value: Any, start: str) -> str:
    """The value's JSON, whose lines begin so; keys are sorted."""
    if write := _SCALARS.get(type(value)):
        return write(value)
    inner = start + " "
    if isinstance(value, dict):
        items = [f"{encode_basestring(k)}: {_text(v, inner)}" for k, v in sorted(value.items())]
        return f"{{{inner}{f',{inner}'.join(items)}{start}}}" if items else "{}"
    if isinstance(value, (list, tuple)):
        parts = [_text(one, inner) for one in value]
        return f"[{inner}{f',{inner}'.join(parts)}{start}]" if parts else "[]"
    return encode_basestring(value) if isinstance(value, str) else json.dumps(value)
