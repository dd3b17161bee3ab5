"""HTML compared by what a reader sees: tables by cell, the rest by its words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from opspawn_jupyter.audit import text
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.text import Compared
from opspawn_jupyter.model.audit import Sameness, worst

_UNSEEN = frozenset({"style", "script", "template"})
_BLOCKS = frozenset({"br", "div", "p", "li", "h1", "h2", "h3", "h4", "pre", "table", "tr"})
_MOST_NOTED = 5
#: Attributes that carry content of their own.
_MEANING = ("src", "href", "alt", "srcdoc", "value")
_GENERATED = re.compile(r"\b[\w-]*[0-9a-f]{6,}[\w-]*\b")


@dataclass(kw_only=True)
class _Page:
    tables: list[list[list[str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def compare(stored: str, fresh: str, rules: Rules) -> Compared:
    """Tables cell by cell, then the words around them."""
    if stored == fresh:
        return Compared(sameness=Sameness.IDENTICAL)
    left, right = _read(stored), _read(fresh)
    if not (left.tables or left.words or right.tables or right.words):
        return _unseen(stored, fresh, rules)
    return _visible(left, right, rules)


def compare_visible(stored: str, fresh: str, rules: Rules) -> Compared:
    """Only tables and words, whatever else there is."""
    return _visible(_read(stored), _read(fresh), rules)


def _visible(left: _Page, right: _Page, rules: Rules) -> Compared:
    found = _tables(left, right, rules)
    words = text.compare("\n".join(left.words), "\n".join(right.words), rules)
    sameness = worst([found.sameness, words.sameness, Sameness.NORMALISED])
    return Compared(sameness=sameness, notes=(*found.notes, *words.notes))


def compare_markup(stored: str, fresh: str, rules: Rules) -> Compared:
    """Drawings in SVG: all of the markup but the ids that libraries make up."""
    if stored == fresh:
        return Compared(sameness=Sameness.IDENTICAL)
    return text.compare(_anonymous(stored), _anonymous(fresh), rules)


def rows_of(html: str) -> list[list[str]]:
    """The rows of all tables, for a reader."""
    return [row for table in _read(html).tables for row in table]


def _unseen(stored: str, fresh: str, rules: Rules) -> Compared:
    """HTML in which nothing is to be read: styles alone change no result."""
    if all("<style" in one and "<script" not in one for one in (stored, fresh)):
        return Compared(sameness=Sameness.NORMALISED, notes=("styles only",))
    return text.compare(_anonymous(stored), _anonymous(fresh), rules)


def _tables(left: _Page, right: _Page, rules: Rules) -> Compared:
    shapes = [[len(row) for row in table] for table in left.tables]
    others = [[len(row) for row in table] for table in right.tables]
    if shapes != others:
        note = f"tables of {_shape(left)} became {_shape(right)}"
        return Compared(sameness=Sameness.DIFFERENT, notes=(note,))
    found: list[Sameness] = []
    notes: list[str] = []
    for place, one, other in _pairs(left, right):
        compared = text.compare(one, other, rules)
        found.append(compared.sameness)
        if compared.sameness is Sameness.DIFFERENT:
            notes.append(f"{place}: {one!r} became {other!r}")
        else:
            notes += [note for note in compared.notes if note not in notes]
    more = len(notes) - _MOST_NOTED
    kept = [*notes[:_MOST_NOTED], *([f"and {more} more"] if more > 0 else [])]
    return Compared(sameness=worst(found), notes=tuple(kept))


def _pairs(left: _Page, right: _Page) -> list[tuple[str, str, str]]:
    """Where, and the two contents, of each cell of each table."""
    return [
        (f"row {r + 1}, column {c + 1}", one, right.tables[t][r][c])
        for t, table in enumerate(left.tables)
        for r, row in enumerate(table)
        for c, one in enumerate(row)
    ]


def _shape(page: _Page) -> str:
    shapes = [f"{len(table)}x{max(map(len, table), default=0)}" for table in page.tables]
    return ", ".join(shapes) or "no size"


def _anonymous(html: str) -> str:
    """Without the ids that libraries make up."""
    return _GENERATED.sub("#", html)


def _read(html: str) -> _Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = _Page()
        self._unseen = 0
        self._in_cell = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "table":
            self.page.tables.append([])
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            if not self._table:
                self._table.append([])
            self._table[-1].append("")
            self._in_cell += 1
        for name, value in attrs:
            if name in _MEANING and value and not self._unseen:
                self._say(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in ("td", "th"):
            self._in_cell = max(0, self._in_cell - 1)
        elif tag in _BLOCKS and not self._in_cell:
            self._say("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._say(data)

    @property
    def _table(self) -> list[list[str]]:
        if not self.page.tables:
            self.page.tables.append([])
        return self.page.tables[-1]

    def _say(self, words: str) -> None:
        said = " ".join(words.split())
        if not said:
            return
        if self._in_cell and self._table and self._table[-1]:
            row = self._table[-1]
            row[-1] = f"{row[-1]} {said}".strip()
        else:
            self.page.words.append(said)
