"""Names of run directories."""

from __future__ import annotations

from datetime import UTC, datetime

from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.run_directory import directory_name

AT = datetime(2026, 11, 20, 6, 0, 1, tzinfo=UTC)


def test_two_runs_in_one_second_never_collide() -> None:
    """Users start the same notebook twice with one key press."""
    assert directory_name("report", new_id(), AT) != directory_name("report", new_id(), AT)


def test_a_name_of_any_characters_gives_a_plain_directory_name() -> None:
    """Names come from people; directories must work on every file system and in a URL."""
    name = directory_name('../it\'s "Q1" / {x}\n', new_id(), AT)

    assert "/" not in name
    assert name.startswith("it-s-Q1-x_20261120T060001Z_")


def test_a_name_without_any_plain_character_still_gives_one() -> None:
    """An empty directory name would hit the parent."""
    assert directory_name("///", new_id(), AT).startswith("task_")
