"""What libraries of different ages spell differently, brought into one spelling.

Each rule stands for a change that a library announced; what it makes equal has the same value.
"""

from __future__ import annotations

import re
from ast import literal_eval

#: Text columns and whole-number indexes changed their names in pandas 2 and 3, structured scalars
#: their looks in NumPy 2.
_CANONICAL = (
    (re.compile(r"\bdtype(=|: )(['\"]?)(?:object|str|string)\2"), r"dtype\1text"),
    (re.compile(r"\b(?:Int|UInt|Float)64Index\("), "Index("),
    (re.compile(r"\bnp\.void\((\(.*\)), dtype=\[.*\]\)", re.DOTALL), r"\1"),
    (re.compile(r"\bnp\.(?:int|uint|float|bool|str|complex)\d*_?\(([^()]*)\)"), r"\1"),
    (re.compile(r"\bnp\.(True|False)_"), r"\1"),
    (re.compile(r"(?<![\w'\"])u(?=['\"])"), ""),
    (re.compile(r"(\d)\.(?=[\s,\])}]|$)"), r"\1"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([\[({,]) +"), r"\1"),
    (re.compile(r" +([\]),}])"), r"\1"),
)
#: The answers of drawing calls: matplotlib 2.2 began to tell a text's words, 3.1 the bars' kind.
_TEXT_OF_OLD = re.compile(r"<matplotlib\.text\.Text(?: object)? at 0x[0-9a-fA-F]+>")
_TEXT_OF_NOW = re.compile(r"\bText\([-\d.e+]+, ?[-\d.e+]+, ?(?:'[^'\n]*'|\"[^\"\n]*\")\)")
_BARS = re.compile(r"<(?:a list of (\d+) Patch objects|(?:Bar)?Container object of (\d+) artists)>")
#: pandas 2 names the column of ``value_counts`` for what it is, and its index for the column.
_COUNTS_OF_NOW = re.compile(r"^(\S+)\n(.*)\nName: (?:count|proportion), ", re.DOTALL)
_COUNTS_OF_OLD = re.compile(r"\nName: (\S+), (?=[^\n]*$)")
#: pandas 2 has no frequency in a time stamp any more.
_STAMP = re.compile(r"(\bTimestamp\('[^']*'(?:, tz='[^']*')?), freq='[^']*'")
#: ``DataFrame.info`` has numbered its columns since pandas 1.0.
_INFO_HEAD = re.compile(r"^ # +Column .*\n[- ]+\n", re.MULTILINE)
_INFO_LINE = re.compile(r"^ +\d+ +(\S.* non-null +\w+)", re.MULTILINE)
_INFO_INDEX = re.compile(r"^(?:Int|UInt|Float)64Index(?=: \d+ entries)", re.MULTILINE)
#: Until pandas 0.24, an index of several levels was told by levels and codes.
_LEVELS = re.compile(
    r"^MultiIndex\(levels=(\[\[.*\]\]),\s*(?:codes|labels)=(\[\[.*\]\])(?:,\s*names=(\[.*\]))?\)$",
    re.DOTALL,
)
_PAIRS = re.compile(
    r"^MultiIndex\((\[.*?\)\]),?(?:\s*names=(\[[^\]]*\]))?(?:,\s*length=\d+)?\s*\)$", re.DOTALL
)
_LONGEST_INDEX = 50_000
_AXES_OF_OLD = re.compile(r"<matplotlib\.[\w.]*Axes\w*(?: object)? at 0x[0-9a-fA-F]+>")
_AXES_OF_NOW = re.compile(r"<Axes(?:3D)?(?:Subplot)?: ?([^<>\n]*)>")
_INDEX_OF_OLD = re.compile(r"\b(?:Int|UInt|Float)64Index\(")
#: pandas says the frequency of periods only once, since version 2.
_PERIODS = re.compile(r"(\bdtype='period\[([\w-]+)\]'[^()]*?), freq='\2'")
_PERIOD_TYPE = re.compile(r"\bperiod\[(\w+)(-\w+)?\]")
_INDEX_SIZE = re.compile(r"\bdtype='u?int(?:32|64)'")
#: Frequencies that pandas 2.2 renamed, by the new name.
_FREQUENCIES = {
    "ME": "M", "QE": "Q", "YE": "A", "Y": "A", "BME": "BM", "BQE": "BQ", "BYE": "BA", "SME": "SM",
    "h": "H", "bh": "BH", "min": "T", "s": "S", "ms": "L", "us": "U", "ns": "N",
}  # fmt: skip
_FREQUENCY = re.compile(r"\b([Ff]req)(: |=')(\d*)([A-Za-z]+)(?=[-,'\s)]|$)")


def canonical(left: str, right: str) -> tuple[str, str]:
    """Both texts in one spelling."""
    if bool(_AXES_OF_NOW.search(left)) != bool(_AXES_OF_NOW.search(right)):
        # Only since matplotlib 3.7 is a title told with them, so one side cannot know it.
        left, right = _without_axes(left), _without_axes(right)
    if bool(_INDEX_OF_OLD.search(left)) != bool(_INDEX_OF_OLD.search(right)):
        # pandas 2 keeps whole numbers of dates in half the size.
        left, right = (_INDEX_SIZE.sub("dtype='int'", one) for one in (left, right))
    # matplotlib 3.6 writes the same with blanks.
    left, right = (_AXES_OF_NOW.sub(_without_blanks, one) for one in (left, right))
    left, right = (_BARS.sub(_without_kind, one) for one in (left, right))
    if bool(_TEXT_OF_OLD.search(left)) != bool(_TEXT_OF_OLD.search(right)):
        left, right = (_TEXT_OF_NOW.sub("<Text>", _TEXT_OF_OLD.sub("<Text>", one))
                       for one in (left, right))  # fmt: skip
    left, right = _tables_of_now(left, right), _tables_of_now(right, left)
    return _spelled(left), _spelled(right)


def _without_kind(bars: re.Match[str]) -> str:
    return f"<{bars[1] or bars[2]} bars>"


def _tables_of_now(text: str, other: str) -> str:
    """What pandas tells of tables and indexes, as both sides tell it."""
    counted = _COUNTS_OF_NOW.match(text)
    old = _COUNTS_OF_OLD.search(other)
    if counted and old and old[1] == counted[1]:
        text = _COUNTS_OF_NOW.sub(r"\2\nName: \1, ", text)
    if not _STAMP.search(other):
        text = _STAMP.sub(r"\1", text)
    if bool(_INFO_HEAD.search(text)) != bool(_INFO_HEAD.search(other)):
        text = _INFO_LINE.sub(r"\1", _INFO_HEAD.sub("", text))
    return _pairs_of_levels(_INFO_INDEX.sub("Index", text))


def _pairs_of_levels(text: str) -> str:
    """An index of several levels as the tuples that it stands for."""
    if len(text) > _LONGEST_INDEX:
        return text
    if match := _PAIRS.match(text.strip()):
        return f"MultiIndex({' '.join(match[1].split())}, {match[2] or ''})"
    match = _LEVELS.match(text.strip())
    try:
        levels, codes = (literal_eval(part) for part in match.groups()[:2]) if match else ((), ())
        tuples = list(zip(*(
            [level[code] for code in several]
            for level, several in zip(levels, codes, strict=True)
        ), strict=True))  # fmt: skip
    except (ValueError, SyntaxError, TypeError, IndexError):
        return text  # shortened by dots, or of values that are no literals
    return f"MultiIndex({tuples!r}, {match[3] or ''})" if match else text


def _without_blanks(axes: re.Match[str]) -> str:
    return f"<Axes:{axes[1].replace(' ', '')}>"


def _without_axes(text: str) -> str:
    return _AXES_OF_NOW.sub("<Axes>", _AXES_OF_OLD.sub("<Axes>", text))


def _spelled(text: str) -> str:
    text = _PERIOD_TYPE.sub(_renamed_period, _PERIODS.sub(r"\1", text))
    text = _FREQUENCY.sub(_renamed, text)
    for pattern, replacement in _CANONICAL:
        text = pattern.sub(replacement, text)
    return text.strip()


def _renamed(match: re.Match[str]) -> str:
    word, sign, count, name = match.groups()
    return f"{word}{sign}{count}{_FREQUENCIES.get(name, name)}"


def _renamed_period(match: re.Match[str]) -> str:
    return f"period[{_FREQUENCIES.get(match[1], match[1])}{match[2] or ''}]"
