"""The environment variables of this process, as ``os.environ`` keeps them: by name, as bytes.

It makes a text of each name and value that it shows, and bytes of each that is set, with seven
calls for a variable: to look through all of them takes longer than what a fork, or a small step,
has to do about them. There is no public way past that.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping


def known() -> dict[bytes, bytes]:
    """They themselves, for reading: what changes them has to tell the system, too."""
    known: dict[bytes, bytes] = vars(os.environ)["_data"]
    return known


def encoded(text: str) -> bytes:
    """A name or value as it is kept."""
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


def replace(wanted: Mapping[bytes, bytes]) -> None:
    """Have these and no others."""
    present = known()
    for name in present.keys() - wanted.keys():
        os.unsetenv(name)
        del present[name]
    for name, value in wanted.items():
        if present.get(name) != value:
            os.putenv(name, value)
            present[name] = value
    time.tzset()
