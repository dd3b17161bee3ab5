"""When the event loop waits for the disk itself."""

from __future__ import annotations

import math

from opspawn_jupyter.pace import Pace


def trusted() -> Pace:
    """A disk that has been quick for as long as is asked for."""
    pace = Pace(quick_seconds=0.1)
    while not pace.is_quick:
        pace.note(0.1)
    return pace


def test_a_disk_must_prove_itself_first() -> None:
    """Nothing is known of it when the server starts: it may be at the far end of a network."""
    pace = Pace(quick_seconds=0.1)

    seen = []
    for _ in range(20):
        seen.append(pace.is_quick)
        pace.note(0.05)

    assert not seen[0]
    assert seen[-1]
    assert seen == sorted(seen)


def test_one_slow_sync_is_enough_to_lose_the_trust() -> None:
    """A slow disk holds the event loop once, not until some average has noticed."""
    pace = trusted()

    pace.note(0.31)
    pace.note(0.05)

    assert not pace.is_quick


def test_a_disk_that_is_a_little_slower_is_back_at_once() -> None:
    """A hiccup of the machine must not cost the next changes their speed."""
    pace = trusted()

    pace.note(0.2)
    was_quick = pace.is_quick
    pace.note(0.05)

    assert not was_quick
    assert pace.is_quick


def test_a_loop_that_has_leisure_waits_for_a_fair_disk() -> None:
    """After a rest a thread is further away than a disk that takes a millisecond; where there is
    much to write the loop has no time for it."""
    now = [0.0]
    pace = Pace(quick_seconds=0.1, clock=lambda: now[0])
    for _ in range(8):
        pace.note(0.4)
    had_none = not pace.is_quick

    now[0] += 25.0
    rested = pace.is_quick
    pace.note(0.4)

    assert had_none
    assert rested
    assert not pace.is_quick


def test_the_limit_can_be_set_to_always_and_never() -> None:
    """For disks that are known, and for tests."""
    always, never = Pace(math.inf), Pace(0)
    always.note(60.0)
    for _ in range(20):
        never.note(1e-9)

    assert always.is_quick
    assert not never.is_quick
