"""What libraries of different ages spell differently, brought into one spelling.

Each rule stands for a change that a library announced; what it makes equal has the same value.
"""

from __future__ import annotations

import re

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
_AXES_OF_OLD = re.compile(r"<matplotlib\.[\w.]*Axes\w*(?: object)? at 0x[0-9a-fA-F]+>")
_AXES_OF_NOW = re.compile(r"<Axes(?:3D)?(?:Subplot)?: ?([^<>\n]*)>")
_INDEX_OF_OLD = re.compile(r"\b(?:Int|UInt|Float)64Index\(")
#: pandas says the frequency of periods only once, since version 2.
_PERIODS = re.compile(r"(\bdtype='period\[([\w-]+)\]'[^()]*?), freq='\2'")
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
    return _spelled(left), _spelled(right)


def _without_blanks(axes: re.Match[str]) -> str:
    return f"<Axes:{axes[1].replace(' ', '')}>"


def _without_axes(text: str) -> str:
    return _AXES_OF_NOW.sub("<Axes>", _AXES_OF_OLD.sub("<Axes>", text))


def _spelled(text: str) -> str:
    text = _PERIODS.sub(r"\1", text)
    text = _FREQUENCY.sub(_renamed, text)
    for pattern, replacement in _CANONICAL:
        text = pattern.sub(replacement, text)
    return text.strip()


def _renamed(match: re.Match[str]) -> str:
    word, sign, count, name = match.groups()
    return f"{word}{sign}{count}{_FREQUENCIES.get(name, name)}"
