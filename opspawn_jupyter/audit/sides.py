"""Two versions of a cell's outputs side by side: words marked, pictures laid over each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from html import escape
from typing import Any

from opspawn_jupyter.audit import images, outputs, text
from opspawn_jupyter.audit.outputs import Piece

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
#: Beyond this, marking every word takes too long, and nobody reads it.
_LONGEST = 20_000
_FRAME_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_FRAME_STYLE = (
    "<style>body{font:13px sans-serif;margin:6px}table{border-collapse:collapse}"
    "td,th{padding:2px 8px}</style>"
)


def both(
    left: Mapping[str, Any] | None, right: Mapping[str, Any] | None, name: str, other: str
) -> str:
    """The parts of two cells' outputs, each pair beside each other."""
    one, two = _pieces(left), _pieces(right)
    count = max(len(one), len(two))
    pairs = [(_at(one, place), _at(two, place)) for place in range(count)]
    return "".join(_pair(a, b, name, other) for a, b in pairs if _differ(a, b))


def _pieces(cell: Mapping[str, Any] | None) -> list[Piece]:
    return outputs.pieces((cell or {}).get("outputs", []), {})


def _at(pieces: Sequence[Piece], place: int) -> Piece | None:
    return pieces[place] if place < len(pieces) else None


def _differ(one: Piece | None, other: Piece | None) -> bool:
    return one is None or other is None or (one.kind, one.content) != (other.kind, other.content)


def _pair(one: Piece | None, other: Piece | None, name: str, other_name: str) -> str:
    columns = [(name, _shown(one, other, "gone")), (other_name, _shown(other, one, "new"))]
    if (difference := _difference(one, other)) is not None:
        columns.append(("what differs, in red", _picture("image/png", difference)))
    width = " three" if len(columns) > 2 else ""  # stored, fresh, difference
    body = "".join(f"<div><h4>{escape(head)}</h4>{shown}</div>" for head, shown in columns)
    return f'<div class="sides{width}">{body}</div>'


def _difference(one: Piece | None, other: Piece | None) -> str | None:
    """What two pictures do not have in common; None where they cannot be laid over each other."""
    if one is None or other is None or one.kind != other.kind or one.kind not in outputs.PICTURES:
        return None
    return images.difference(str(one.content), str(other.content))


def _shown(piece: Piece | None, other: Piece | None, mark: str) -> str:
    if piece is None:
        return "<pre>(nothing)</pre>"
    if piece.kind in outputs.PICTURES:
        return _picture(piece.kind, str(piece.content))
    if piece.kind in ("text/html", "image/svg+xml"):
        return _frame(str(piece.content))
    return f"<pre>{_marked(_plain(piece), _plain(other), mark)}</pre>"


def _plain(piece: Piece | None) -> str:
    if piece is None:
        return ""
    content = piece.content
    if not isinstance(content, str):
        content = json.dumps(content, indent=1, ensure_ascii=False)
    return text.plain(content)


def _picture(mime: str, encoded: str) -> str:
    data = "".join(encoded.split())
    return f'<img alt="" src="data:{escape(mime)};base64,{escape(data)}">'


def _frame(html: str) -> str:
    """HTML in which nothing runs and which loads nothing."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_FRAME_POLICY}">'
    return f'<iframe sandbox="" srcdoc="{escape(policy + _FRAME_STYLE + html)}"></iframe>'


def _marked(content: str, other: str, mark: str) -> str:
    """The text with what the other lacks marked."""
    if len(content) > _LONGEST or len(other) > _LONGEST:
        return escape(content[:_LONGEST])
    return "".join(_pieces_of(content, other, mark))


def _pieces_of(content: str, other: str, mark: str) -> Iterator[str]:
    words, others = _WORDS.findall(content), _WORDS.findall(other)
    matcher = SequenceMatcher(None, words, others, autojunk=len(words) > 2_000)
    for kind, start, end, _, _ in matcher.get_opcodes():
        said = escape("".join(words[start:end]))
        if kind == "equal":
            yield said
        elif said:
            yield f'<mark class="{mark}">{said}</mark>'
