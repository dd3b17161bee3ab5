"""Identifiers."""

from __future__ import annotations

import uuid

from opspawn_jupyter.model.ids import new_id, short


def test_ids_are_version_7_and_sort_by_time() -> None:
    """The store finds tasks without an index because ids arrive in order."""
    ids = [new_id() for _ in range(50)]

    parsed = [uuid.UUID(id) for id in ids]
    assert {(id.version, id.variant) for id in parsed} == {(7, uuid.RFC_4122)}
    assert [id[:13] for id in ids] == sorted(id[:13] for id in ids)


def test_short_ids_differ_within_a_millisecond() -> None:
    """Two tasks of the same moment must not get the same directory."""
    assert len({short(new_id()) for _ in range(1000)}) == 1000
