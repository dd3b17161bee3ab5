"""One cell's outputs compared, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from opspawn_jupyter.audit import charts, documents, images, outputs, tables, text
from opspawn_jupyter.audit.outputs import Piece
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.text import Compared
from opspawn_jupyter.model.audit import Part, Sameness, worst

#: Noise that two fresh runs cannot have in common by chance.
_NEVER_ALIKE = frozenset(
    {"scrubbed timing", "scrubbed date and time", "scrubbed uuid", "scrubbed progress rate"}
)
_STREAMS = frozenset({"stdout", "stderr"})
_WORDS = frozenset({"stdout", "stderr", "error", "text/plain"})
_SPELLED = ("text/latex", "text/plain")
_SAME = Compared(sameness=Sameness.IDENTICAL)
_GONE = Compared(sameness=Sameness.DIFFERENT, notes=("missing now",))
_NEW = Compared(sameness=Sameness.DIFFERENT, notes=("not there before",))


def compare(left: Sequence[Piece], right: Sequence[Piece], rules: Rules) -> tuple[Part, ...]:
    """The parts of two sets of outputs of the same cell, each with its class."""
    parts = []
    for one, other in _paired(left, right):
        compared = _compare(one, other, rules)
        piece = one or other
        assert piece is not None  # noqa: S101  # one of the two is there
        parts.append(Part(kind=piece.kind, sameness=compared.sameness, notes=compared.notes))
    return tuple(parts)


def sum_of(parts: Sequence[Part]) -> Sameness:
    """The worst class. A picture, a chart or a widget that was not compared says so of its cell;
    of words, what was not compared decides only where nothing else was."""
    compared = [one.sameness for one in parts if one.sameness is not Sameness.NOT_COMPARED]
    if Sameness.DIFFERENT in compared:
        return Sameness.DIFFERENT
    unseen = [one for one in parts if one.sameness is Sameness.NOT_COMPARED]
    if unseen and (not compared or any(one.kind not in _WORDS for one in unseen)):
        return Sameness.NOT_COMPARED
    return worst(compared)


def calibrated(stored: Sequence[Part], again: Sequence[Part]) -> tuple[Part, ...]:
    """The parts against the stored outputs, where two fresh runs are known.

    What was taken for noise (a time, a date) and yet is the same in two fresh runs, of which the
    second has another time zone, is none: the stored output is different.
    """
    if len(stored) != len(again):
        return tuple(stored)
    return tuple(_calibrated(one, other) for one, other in zip(stored, again, strict=True))


def _calibrated(stored: Part, again: Part) -> Part:
    is_noise = stored.sameness in (Sameness.VOLATILE, Sameness.NOT_COMPARED)
    never = set(stored.notes) & _NEVER_ALIKE
    if is_noise and never and again.sameness is Sameness.IDENTICAL and stored.kind == again.kind:
        notes = (*stored.notes, "but the fresh runs agree on it, so it is not volatile")
        return Part(kind=stored.kind, sameness=Sameness.DIFFERENT, notes=notes)
    return stored


def _paired(
    left: Sequence[Piece], right: Sequence[Piece]
) -> list[tuple[Piece | None, Piece | None]]:
    """Parts of the same kind in order; what has no counterpart stands alone."""
    kinds = [one.kind for one in left], [one.kind for one in right]
    pairs: list[tuple[Piece | None, Piece | None]] = []
    for _, start, end, from_, to in SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        for one, other in zip_longest(left[start:end], right[from_:to]):
            if one is None or other is None or _are_comparable(one, other):
                pairs.append((one, other))
            else:
                pairs += [(one, None), (None, other)]
    return pairs


def _are_comparable(one: Piece, other: Piece) -> bool:
    """What is printed and what is displayed are never versions of each other."""
    return one.kind == other.kind or not {one.kind, other.kind} & _STREAMS


def _compare(one: Piece | None, other: Piece | None, rules: Rules) -> Compared:
    if one is None or other is None:
        return _alone(one, other, rules)
    if one.kind == other.kind == "stderr":
        return _stderr(one, other, rules)
    if one.kind == other.kind and "text/latex" in one.others and "text/latex" in other.others:
        return _formula(one, other, rules)
    if one.kind == other.kind:
        return _of_kind(one.kind, one.content, other.content, rules)
    return _by_common_form(one, other, rules)


def _formula(one: Piece, other: Piece, rules: Rules) -> Compared:
    """A formula that is shown as a picture: another version sets it in another size, and then its
    LaTeX and its text decide."""
    drawn = _of_kind(one.kind, one.content, other.content, rules)
    is_resized = any(note.startswith(images.OTHER_SIZE) for note in drawn.notes)
    if not is_resized and drawn.sameness is not Sameness.NOT_COMPARED:
        return drawn
    told = _formula_in_words(one.others, other.others, rules)
    return Compared(sameness=told.sameness, notes=(*drawn.notes, *told.notes))


def _formula_in_words(one: Mapping[str, Any], other: Mapping[str, Any], rules: Rules) -> Compared:
    """A formula by its LaTeX or, where that is written in another way, by its text."""
    spelled = [
        text.compare(_bare(left), _bare(right), rules)
        for left, right in ((one.get(mime), other.get(mime)) for mime in _SPELLED)
        if isinstance(left, str) and isinstance(right, str)
    ]
    best = next((one for one in spelled if one.sameness is not Sameness.DIFFERENT), None)
    if best is None:
        return Compared(sameness=Sameness.DIFFERENT, notes=spelled[0].notes)
    sameness = worst([best.sameness, Sameness.REPRESENTATION])
    return Compared(sameness=sameness, notes=("its formula is the same",))


def _bare(formula: str) -> str:
    """The formula without what only says how it is set."""
    for word in ("\\displaystyle", "\\left", "\\right", "\\quad", "\\ ", "$", " "):
        formula = formula.replace(word, "")
    return formula


def _alone(one: Piece | None, other: Piece | None, rules: Rules) -> Compared:
    piece = one or other
    if piece is not None and piece.kind == "stderr":
        empty = Piece(kind="stderr", content="", others={})
        return _stderr(one or empty, other or empty, rules)
    return _NEW if one is None else _GONE


def _stderr(one: Piece, other: Piece, rules: Rules) -> Compared:
    """Warnings come and go with versions: they are listed, and decide nothing."""
    compared = text.compare(one.content, other.content, rules)
    if compared.sameness is not Sameness.DIFFERENT:
        return compared
    return Compared(sameness=Sameness.VOLATILE, notes=("stderr: warnings differ", *compared.notes))


def _by_common_form(one: Piece, other: Piece, rules: Rules) -> Compared:
    """Two displays whose richest forms are not of one kind, by the best that both have."""
    if charts.family(one.kind) and charts.family(one.kind) == charts.family(other.kind):
        return charts.compare([one.content], [other.content], rules)
    left = {one.kind: one.content, **one.others}
    right = {other.kind: other.content, **other.others}
    common = [mime for mime in left if mime in right]
    if not common:
        note = f"{one.kind} became {other.kind}"
        return Compared(sameness=Sameness.DIFFERENT, notes=(note,))
    kind = outputs.best(common)
    if outputs.is_mere_name(left[kind]):
        # Only the object's name is common: the picture itself came or went.
        note = f"{one.kind} became {other.kind}"
        return Compared(sameness=Sameness.DIFFERENT, notes=(note,))
    if kind == "text/latex":
        return _formula_in_words(left, right, rules)
    compared = _of_kind(kind, left[kind], right[kind], rules)
    sameness = worst([compared.sameness, Sameness.NORMALISED])
    note = f"compared as {kind}"
    return Compared(sameness=sameness, notes=(note, *compared.notes))


def _of_kind(kind: str, left: Any, right: Any, rules: Rules) -> Compared:
    if left is None or right is None:
        return Compared(sameness=Sameness.NOT_COMPARED, notes=("the widget's state is not kept",))
    if kind in outputs.PICTURES:
        return images.compare(str(left), str(right), rules)
    if charts.is_chart(kind):
        return charts.compare([left], [right], rules) if left != right else _SAME
    if kind == outputs.WIDGET or kind.endswith("json"):
        return documents.compare(left, right, rules)
    return _BY_KIND.get(kind, _text)(str(left), str(right), rules)


def _html(left: str, right: str, rules: Rules) -> Compared:
    if left != right and outputs.is_script(left) and outputs.is_script(right):
        return _drawn_by_script(left, right, rules)
    return tables.compare(left, right, rules)


def _drawn_by_script(left: str, right: str, rules: Rules) -> Compared:
    """Charts whose picture nobody sees here: other words or tables around them are a difference,
    and so are other data that they are drawn from; of what else a script does nothing is judged."""
    compared = tables.compare_visible(left, right, rules)
    drawn = charts.compare_embedded(left, right, rules)
    if compared.sameness is Sameness.DIFFERENT:
        return compared
    if drawn is not None and drawn.sameness is Sameness.NOT_COMPARED:
        return drawn
    if drawn is not None:
        return Compared(sameness=worst([compared.sameness, drawn.sameness]), notes=drawn.notes)
    note = "the HTML draws itself by a script, whose picture is not compared"
    return Compared(sameness=Sameness.NOT_COMPARED, notes=(note, *compared.notes))


def _code(left: str, right: str, rules: Rules) -> Compared:
    if left == right:
        return Compared(sameness=Sameness.IDENTICAL)
    note = "a script's text, whose effect is not compared"
    compared = text.compare(left, right, rules)
    if compared.sameness is Sameness.DIFFERENT:
        return Compared(sameness=Sameness.NOT_COMPARED, notes=(note,))
    return compared


def _text(left: str, right: str, rules: Rules) -> Compared:
    if left != right and outputs.is_mere_name(left) and outputs.is_mere_name(right):
        return _named(left, right, rules)
    return text.compare(left, right, rules)


def _named(left: str, right: str, rules: Rules) -> Compared:
    """``<matplotlib.lines.Line2D at 0x…>``: in which module a class lies is a library's matter."""
    compared = text.compare(left, right, rules)
    is_known_by_place = " at 0x" in left or " at 0x" in right
    if compared.sameness is not Sameness.DIFFERENT or not is_known_by_place:
        return compared
    if _class_name(left) == _class_name(right):
        return Compared(sameness=Sameness.REPRESENTATION, notes=compared.notes)
    return compared


def _class_name(said: str) -> str:
    name = said.strip("<>").split()[0].rpartition(".")[2]
    return name.removesuffix(":").removesuffix("Subplot")


_BY_KIND: Mapping[str, Callable[[str, str, Rules], Compared]] = {
    "text/html": _html,
    "image/svg+xml": tables.compare_markup,
    "application/javascript": _code,
}
