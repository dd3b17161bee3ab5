"""Which name somebody meant who typed another one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

#: Longer names are no typing errors, and take long to compare.
_LONGEST_TYPO = 40
_MOST_FILES = 1000


def meant(name: str, known: Sequence[str]) -> str:
    """``did you mean 'year'? `` before what there is; empty where nothing is near."""
    near = get_close_matches(name, known, 1) if len(name) < _LONGEST_TYPO else []
    return f"did you mean {near[0]!r}? " if near else ""


def notebook_beside(path: Path) -> str:
    """``there is 'report.ipynb'``, of a notebook in the same directory whose name is near."""
    if len(path.stem) >= _LONGEST_TYPO:
        return ""
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = [one.name for one in islice(entries, _MOST_FILES) if one.name.endswith(".ipynb")]
        # Without the suffix, which makes all of them alike.
        stems = {name.removesuffix(".ipynb"): name for name in sorted(names)}
        near = get_close_matches(path.name.removesuffix(".ipynb"), list(stems), 1)
        return f"there is {stems[near[0]]!r}" if near else ""
    return ""
