"""Rights to begin a step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opspawn_jupyter.worker.rights import Rights, right, take, take_some


@pytest.fixture
def rights() -> Iterator[Rights]:
    found = Rights()
    yield found
    found.close()


def test_each_right_is_taken_once_in_the_order_in_which_they_were_given(rights: Rights) -> None:
    rights.give([right(1), right(2)])
    rights.give([right(3)])

    assert [take(rights.taking), take(rights.taking), take_some(rights.taking)] == [
        right(1), right(2), right(3),
    ]  # fmt: skip
    assert take_some(rights.taking) == b""


def test_what_was_taken_back_nobody_can_take(rights: Rights) -> None:
    rights.give([right(number) for number in range(100)])
    take(rights.taking)

    assert rights.take_back() == 99
    assert take_some(rights.taking) == b""
    assert rights.take_back() == 0


def test_rights_can_be_given_after_others_were_taken_back(rights: Rights) -> None:
    rights.give([right(1)])
    rights.take_back()
    rights.give([right(2)])

    assert take(rights.taking) == right(2)
