"""Which keys lie in the file, so that a key that does not is not looked for there.

Nearly every new record brings a key that nobody has, and DuckDB would read the whole column to
find that out: an index helps where a key is found, hardly where it is not, and more than doubles
the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import md5

_BUCKETS = 4096


class KnownKeys:
    """A set of digests, at eight bytes each. Two keys of one digest only cost a look."""

    def __init__(self, digests: Iterable[int]) -> None:
        """``digests``: what the query ``key_digests`` gives."""
        self._buckets = tuple(array("Q") for _ in range(_BUCKETS))
        for number in digests:
            self._buckets[number % _BUCKETS].append(number)

    def add(self, subject: str, key: str | None) -> None:
        """From now on it is known, if there is one."""
        if key is None:
            return
        number = digest(subject, key)
        bucket = self._buckets[number % _BUCKETS]
        if number not in bucket:
            bucket.append(number)

    def may_hold(self, subject: str, key: str) -> bool:
        """False where the file certainly has no such key."""
        number = digest(subject, key)
        return number in self._buckets[number % _BUCKETS]


def digest(subject: str, key: str) -> int:
    """As DuckDB's ``md5_number_lower`` gives it: the second half, little end first."""
    text = f"{subject} {key}".encode()
    return int.from_bytes(md5(text, usedforsecurity=False).digest()[8:], "little")
