"""A notebook's variables in a magic's line: ``-p year={year}``, ``-p year=$year``, ``{task.id}``.

Other than IPython's own expansion, this one takes only names that exist, and leaves all else in
braces alone: ``-p settings={"a": 5}`` is JSON. It comes after the line was split into words, so
a value with blanks or quotes in it stays one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

_NAME = re.compile(r"\{([^\W\d]\w*(?:\.[^\W\d]\w*)*)\}|\$([^\W\d]\w*)")


def expand(words: Sequence[str], namespace: Mapping[str, Any]) -> list[str]:
    """The words, with variables in place of their names."""

    def value(match: re.Match[str]) -> str:
        first, *attributes = (match[1] or match[2]).split(".")
        try:
            return str(reduce(getattr, attributes, namespace[first]))
        except (KeyError, AttributeError):
            return match[0]

    return [_NAME.sub(value, word) for word in words]
