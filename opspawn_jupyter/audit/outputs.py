"""A cell's outputs as parts that can be compared: streams joined, each display in its richest form.

How a kernel cuts what it prints into messages is chance, and so is where between displays a stream
stands; which libraries add a poorer form of the same display is drift.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Forms of a display, the richest that can be compared well first.
_RANKS = ("text/latex", "text/markdown", "image/svg+xml", "text/html", "text/plain")
_OBJECTS = re.compile(r"^<[^<>]*(?:object|Figure|Axes|plot)[^<>]*>$", re.DOTALL)
_SCRIPT_ONLY = re.compile(r"<script\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One thing that a cell put out."""

    #: ``stdout``, ``stderr``, ``error`` or a MIME type.
    kind: str
    content: Any
    #: The other forms of the same display, by MIME type.
    others: Mapping[str, Any]


def pieces(outputs: Iterable[Mapping[str, Any]], widgets: Mapping[str, Any]) -> list[Piece]:
    """The parts, streams first. ``widgets``: states by model id."""
    streams: dict[str, list[str]] = {}
    rest: list[Piece] = []
    for output in outputs:
        if output["output_type"] == "stream":
            streams.setdefault(output.get("name", "stdout"), []).append(joined(output["text"]))
        elif output["output_type"] == "error":
            rest.append(_error(output))
        elif (piece := _display(output.get("data", {}), widgets)) is not None:
            rest.append(piece)
    joined_streams = [
        Piece(kind=name, content="".join(texts), others={})
        for name, texts in sorted(streams.items(), reverse=True)
        if "".join(texts).strip()
    ]
    return joined_streams + rest


def joined(content: Any) -> Any:
    """Text that the notebook format keeps as lines, in one piece."""
    if isinstance(content, list) and all(isinstance(line, str) for line in content):
        return "".join(content)
    return content


def _error(output: Mapping[str, Any]) -> Piece:
    said = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return Piece(kind="error", content=said, others={})


def _display(data: Mapping[str, Any], widgets: Mapping[str, Any]) -> Piece | None:
    forms = {mime: joined(content) for mime, content in data.items()}
    if not forms:
        return None
    kind = best(forms)
    content = forms.pop(kind)
    if kind == WIDGET:
        content = _state(content, widgets)
    return Piece(kind=kind, content=content, others=forms)


def best(forms: Mapping[str, Any] | Sequence[str]) -> str:
    """The form that tells most."""
    return min(forms, key=_rank)


def _rank(mime: str) -> tuple[int, str]:
    if mime in PICTURES:
        return 0, mime
    if mime == WIDGET:
        return 1, mime
    if mime.endswith("json"):
        return 2, mime
    return (3 + _RANKS.index(mime) if mime in _RANKS else 9), mime


def _state(view: Any, widgets: Mapping[str, Any]) -> Any:
    """What the widget shows, with the widgets in it; None where the notebook does not keep it."""
    model_id = view.get("model_id") if isinstance(view, Mapping) else None
    return _resolved(model_id, widgets, depth=0)


def _resolved(model_id: Any, widgets: Mapping[str, Any], depth: int) -> Any:
    model = widgets.get(model_id)
    if not isinstance(model, Mapping) or depth > 8:
        return None
    state = model.get("state", {})
    text = json.dumps({"name": model.get("model_name"), "state": state}, sort_keys=True)
    found = json.loads(text)
    children = state.get("children", []) if isinstance(state, Mapping) else []
    if isinstance(children, list):
        ids = [str(child).removeprefix("IPY_MODEL_") for child in children]
        found["state"]["children"] = [_resolved(one, widgets, depth + 1) for one in ids]
    return found


def widget_states(notebook: Mapping[str, Any]) -> Mapping[str, Any]:
    """States of the notebook's widgets by model id."""
    kept = notebook.get("metadata", {}).get("widgets", {})
    states = kept.get("application/vnd.jupyter.widget-state+json", {})
    found = states.get("state", {}) if isinstance(states, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def is_mere_name(content: Any) -> bool:
    """The text only names an object: ``<Figure size 432x288 with 1 Axes>``."""
    return isinstance(content, str) and bool(_OBJECTS.match(content.strip()))


def is_script(html: str) -> bool:
    """The HTML draws itself by a script: what is seen cannot be told from its text."""
    return bool(_SCRIPT_ONLY.search(html))
