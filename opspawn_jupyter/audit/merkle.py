"""A Merkle tree over the journal (RFC 6962, section 2.1): proves that an event is in it, and in
its place, without showing the rest.

A leaf is the hash of an event, in hex. Whoever noted a tree's root can tell later whether the
history still holds everything that it held then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

EMPTY = hashlib.sha256(b"").hexdigest()


class Tree:
    """The tree over these leaves."""

    def __init__(self, leaves: Sequence[str]) -> None:
        self._leaves = leaves
        self._part = cache(self._computed)

    @property
    def root(self) -> str:
        """The root's hash."""
        return self._part(0, len(self._leaves)).hex() if self._leaves else EMPTY

    def path(self, index: int) -> list[str]:
        """The hashes that, with the leaf at this index, give the root; the leaf's sibling first."""
        return [one.hex() for one in self._path(index, 0, len(self._leaves))]

    def _computed(self, start: int, end: int) -> bytes:
        if end - start == 1:
            return _leaf(self._leaves[start])
        middle = start + _split(end - start)
        return _node(self._part(start, middle), self._part(middle, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._part(middle, end)]
        return [*self._path(index, middle, end), self._part(start, middle)]


class GrowingTree:
    """The root of a tree to which leaves are added, without keeping them."""

    def __init__(self) -> None:
        self.size = 0
        #: Roots of the whole subtrees that the leaves fill, the largest first.
        self._whole: list[bytes] = []

    def add(self, leaf: str) -> None:
        """Add a leaf at the end."""
        self._whole.append(_leaf(leaf))
        self.size += 1
        for _ in range(_trailing_zeros(self.size)):
            right = self._whole.pop()
            self._whole.append(_node(self._whole.pop(), right))

    @property
    def root(self) -> str:
        """The root's hash, as ``Tree`` has it."""
        if not self._whole:
            return EMPTY
        *rest, found = self._whole
        for left in reversed(rest):
            found = _node(left, found)
        return found.hex()


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def root_from(leaf: str, index: int, size: int, path: Sequence[str]) -> str:
    """The root that the path leads to. Raises ``ValueError`` where it has not the length that a
    tree of this size asks for."""
    hashes = [bytes.fromhex(one) for one in path]
    return _climb(_leaf(leaf), index, size, hashes).hex()


def _climb(found: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    if not 0 <= index < size or (size == 1) != (not path):
        raise ValueError(index)
    if size == 1:
        return found
    middle = _split(size)
    if index < middle:
        return _node(_climb(found, index, middle, path[:-1]), path[-1])
    return _node(path[-1], _climb(found, index - middle, size - middle, path[:-1]))


def _split(size: int) -> int:
    """The largest power of two below."""
    return 1 << ((size - 1).bit_length() - 1)


def _leaf(content: str) -> bytes:
    return hashlib.sha256(b"\0" + content.encode()).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
