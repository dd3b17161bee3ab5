"""The Merkle tree against the standard's own definition, and what its proofs prove."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opspawn_jupyter.audit.merkle import EMPTY, GrowingTree, Tree, root_from


def by_definition(leaves: list[str]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0].encode()).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_definition(leaves[:split]), by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(size=st.integers(1, 40))
def test_every_leaf_has_a_path_to_the_root(size: int) -> None:
    leaves = [f"{number:02d}" for number in range(size)]
    tree = Tree(leaves)

    assert tree.root == by_definition(leaves).hex()
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        assert root_from(leaf, index, size, path) == tree.root
        assert root_from("another", index, size, path) != tree.root


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert Tree([]).root == EMPTY


def test_a_path_of_the_wrong_length_is_refused() -> None:
    """A longer path could otherwise be made to lead anywhere."""
    with pytest.raises(ValueError, match="0"):
        root_from("a", 0, 1, ["00" * 32])


def test_a_tree_that_grows_has_the_same_roots() -> None:
    growing = GrowingTree()
    leaves = [f"{number:02d}" for number in range(70)]

    for size, leaf in enumerate(leaves):
        assert growing.root == Tree(leaves[:size]).root
        growing.add(leaf)
    assert (growing.size, growing.root) == (70, Tree(leaves).root)
