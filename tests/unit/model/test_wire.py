"""Records to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from opspawn_jupyter.model import wire


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    colour: Colour = Colour.RED
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Tree:
    name: str
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    sizes: tuple[int, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    either: int | str | None = None
    below: Tree | None = None


@pytest.mark.parametrize(
    "tree",
    [
        Tree(name="bare"),
        Tree(
            name="full",
            leaf=Leaf(at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
            leaves=(Leaf(), Leaf(at=datetime(2026, 1, 2, tzinfo=UTC))),
            sizes=(1, 2),
            data={"deep": {"list": [1, None, 2.5]}},
            either="x",
            below=Tree(name="inner", either=3),
        ),
    ],
)
def test_a_record_comes_back_as_it_was(tree: Tree) -> None:
    """Journal, workers and clients all trust that."""
    assert wire.decode(Tree, json.loads(wire.to_json(tree))) == tree


def test_what_a_record_lacks_is_passed_over_and_what_is_missing_has_its_default() -> None:
    """Client and server need not be of one version."""
    assert wire.decode(Tree, {"name": "t", "new": 1}) == Tree(name="t")


def test_what_must_be_there_is_missed_as_its_class_would() -> None:
    """A record that lacks it would fail later and elsewhere."""
    with pytest.raises(TypeError, match="Tree needs 'name'"):
        wire.decode(Tree, {"leaves": []})


def test_a_record_that_was_read_is_as_one_that_was_made() -> None:
    """Each has its own containers, and can be compared, hashed and put in a set."""
    first, second = wire.decode(Tree, {"name": "oak"}), wire.decode(Tree, {"name": "oak"})
    assert first == second == Tree(name="oak")
    assert first.data is not second.data
    leaves = [wire.decode(Leaf, {"colour": "red"}), Leaf()]
    assert len(set(leaves)) == 1
    assert repr(leaves[0]) == repr(leaves[1])


def test_values_inside_of_data_are_encoded_too() -> None:
    """A caller may put an enum or a time there."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    data = {"when": (at, Colour.RED), 1: Leaf()}

    assert wire.encode(data) == {
        "when": [at.isoformat(), "red"],
        "1": {"colour": "red", "at": None},
    }


def test_browsers_get_no_number_that_json_lacks() -> None:
    assert json.loads(wire.to_json({"x": [float("nan"), 1.0]})) == {"x": [None, 1.0]}
