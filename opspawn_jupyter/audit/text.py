"""Two texts compared: characters, numbers, what they mean as Python, what is left without noise."""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from opspawn_jupyter.audit.drift import canonical
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.scrubs import is_wholly_scrubbed, scrubbed
from opspawn_jupyter.model.audit import Sameness

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07")
_BACKSPACE = re.compile(r"[^\n]\x08")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
_BLANKS = re.compile(r"[ \t]+")
#: Digits from which on a float's last one may differ by rounding.
_MANY_DIGITS = 6
#: Digits that a shorter spelling must still show to count as the same number, rounded.
_FEWEST_ROUNDED = 3
_LONGEST_LITERAL = 200_000


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How two contents compare, and what has to be known about it."""

    sameness: Sameness
    notes: tuple[str, ...] = ()


def compare(stored: str, fresh: str, rules: Rules) -> Compared:
    """The best class in which the two texts are equal."""
    if stored == fresh:
        return Compared(sameness=Sameness.IDENTICAL)
    left, right = plain(stored), plain(fresh)
    for sameness, are_equal in _LADDER:
        if are_equal(left, right, rules):
            return Compared(sameness=sameness)
    return _without_noise(left, right, rules)


def plain(text: str) -> str:
    """The text as a terminal leaves it on the screen: without colours and what was overwritten."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    while "\x08" in text and (shorter := _BACKSPACE.sub("", text)) != text:
        text = shorter
    lines = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return unicodedata.normalize("NFC", "\n".join(lines).strip("\n"))


def numbers_agree(left: str, right: str, rules: Rules) -> bool:
    """The same words, and numbers that differ by no more than the rules allow."""
    if _words(left) != _words(right):
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    return all(_close(one, other, rules) for one, other in pairs)


def first_difference(left: str, right: str) -> str:
    """The first line that is not the same, shortly, for a reader."""
    before, after = left.splitlines(), right.splitlines()
    for number, (one, other) in enumerate(zip(before, after, strict=False), start=1):
        if one != other:
            return f"line {number}: {_cut(one, other)!r} became {_cut(other, one)!r}"
    return f"{len(before)} lines became {len(after)}"


def _blanks_agree(left: str, right: str, _rules: Rules) -> bool:
    return _squeezed(left) == _squeezed(right)


def _values_agree(left: str, right: str, _rules: Rules) -> bool:
    """The same value in another spelling: order of a set, digits that are shown, NumPy's types."""
    one = _value_spelled(left)
    if one is not None and one == _value_spelled(right):
        return True
    spelled = canonical(left, right)
    return spelled[0] == spelled[1] or _shown_agree(*spelled)


_LADDER: tuple[tuple[Sameness, Callable[[str, str, Rules], bool]], ...] = (
    (Sameness.NORMALISED, _blanks_agree),
    (Sameness.TOLERANCE, numbers_agree),
    (Sameness.REPRESENTATION, _values_agree),
)


def _without_noise(left: str, right: str, rules: Rules) -> Compared:
    one, counts = scrubbed(left, rules.scrubs)
    other, counts_of_other = scrubbed(right, rules.scrubs)
    notes = tuple(f"scrubbed {name}" for name in sorted({*counts, *counts_of_other}))
    if _squeezed(one) == _squeezed(other) or (notes and numbers_agree(one, other, rules)):
        if is_wholly_scrubbed(one, counts):
            return Compared(sameness=Sameness.NOT_COMPARED, notes=notes)
        return Compared(sameness=Sameness.VOLATILE, notes=notes)
    return Compared(sameness=Sameness.DIFFERENT, notes=(first_difference(left, right),))


def _squeezed(text: str) -> str:
    lines = (_BLANKS.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _words(text: str) -> list[str]:
    """What stands between the numbers; a sign's place is given to the number."""
    return [" ".join(piece.split()) for piece in _NUMBER.split(text)]


def _close(one: str, other: str, rules: Rules) -> bool:
    if one == other:
        return True
    left, right = _value(one), _value(other)
    if not (_is_float(one) or _is_float(other)):
        return left == right  # counts are exact
    allowed = max(rules.absolute, rules.relative * max(abs(left), abs(right)))
    decimals = min(_decimals(one), _decimals(other))
    if decimals >= _MANY_DIGITS and "e" not in (one + other).lower():
        allowed = max(allowed, 1.01 * 10.0**-decimals)
    return math.isclose(left, right, rel_tol=0.0, abs_tol=allowed)


def _shown_agree(left: str, right: str) -> bool:
    """Equal to the number of digits that both sides show."""
    if _words(left) != _words(right):
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    return all(_rounds_to(one, other) for one, other in pairs)


def _rounds_to(one: str, other: str) -> bool:
    left, right = _value(one), _value(other)
    if left == right:
        return True
    decimals = (_decimals(one), _decimals(other))
    # With as many digits on both sides nothing was rounded; with few, too much could have been.
    is_rounded = decimals[0] != decimals[1] and min(decimals) >= _FEWEST_ROUNDED
    if not is_rounded or "e" in (one + other).lower():
        return False
    return abs(left - right) <= 0.5000001 * 10.0 ** -min(decimals)


def _value(number: str) -> float:
    return float(number.replace("_", ""))


def _is_float(number: str) -> bool:
    return "." in number or "e" in number.lower()


def _decimals(number: str) -> int:
    return len(number.lower().partition("e")[0].partition(".")[2])


def _value_spelled(text: str) -> str | None:
    """The Python expression that the text is, with sets and dictionaries in one order; None where
    it is none that has parts."""
    if not text or len(text) > _LONGEST_LITERAL or text.lstrip()[:1] not in "[({'\"":
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return ast.dump(_Ordered().visit(tree))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


class _Ordered(ast.NodeTransformer):
    def visit_Set(self, node: ast.Set) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        node.elts.sort(key=ast.dump)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key]
        pairs.sort(key=lambda pair: ast.dump(pair[0]))
        node.keys, node.values = [key for key, _ in pairs], [value for _, value in pairs]
        return node


def _cut(text: str, other: str, width: int = 60) -> str:
    """The part of a line around the place where it parts from the other."""
    start = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    start = max(0, start - width // 3)
    piece = text[start : start + width]
    return ("…" if start else "") + piece + ("…" if start + width < len(text) else "")
