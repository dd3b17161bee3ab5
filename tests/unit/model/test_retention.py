"""Which run directories go: the newest stay, and only as many as the limits say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from opspawn_jupyter.model.retention import Limits, Remains, Retention, choose

NOW = datetime(2030, 1, 31, tzinfo=UTC)


def remains(days_ago: float, size_bytes: int = 10, **labels: str) -> Remains:
    return Remains(
        task_id=f"{days_ago:g}",
        name="n",
        finished_at=NOW - timedelta(days=days_ago),
        run_directory=f"runs/{days_ago:g}",
        labels=labels,
        size_bytes=size_bytes,
    )


def gone(group: list[Remains], by_label: dict[str, Limits] | None = None, **limits: Any) -> str:
    """Ids of what goes, in order."""
    retention = Retention(limits=Limits(**limits), by_label=by_label or {})
    return " ".join(one.task_id for one, _ in choose(group, retention, NOW))


def test_without_limits_everything_stays():
    """The default: nobody's results vanish unasked."""
    assert gone([remains(1), remains(1000)]) == ""
    assert Retention().is_endless


def test_what_is_too_old_goes_oldest_first():
    """An interrupted round has then removed what was due first."""
    assert gone([remains(3), remains(40), remains(31), remains(30)], days=30) == "40 31"


def test_the_newest_stay():
    """By the end of the task, in whatever order they come."""
    assert gone([remains(3), remains(1), remains(2)], max_tasks=2) == "3"
    assert gone([remains(1)], max_tasks=0) == "1"


def test_bytes_never_leave_a_gap():
    """A small old one must not outlive a large newer one."""
    group = [remains(1, 50), remains(2, 60), remains(3, 5)]

    assert gone(group, max_bytes=100) == "3 2"
    assert gone(group, max_bytes=115) == ""


def test_the_strictest_limit_decides():
    """Limits add up; what one removes does not count for the others."""
    group = [remains(1), remains(2), remains(50)]

    assert gone(group, days=30, max_tasks=2) == "50"
    assert gone(group, days=30, max_tasks=1) == "50 2"


def test_a_label_has_limits_of_its_own():
    """Audits keep theirs for ever, scratch work goes at once; they do not count for the rest."""
    group = [remains(1), remains(2), remains(90, keep="yes"), remains(3, tmp="yes")]
    by_label = {"keep:yes": Limits(), "tmp:yes": Limits(max_tasks=0)}

    assert gone(group, by_label, days=30, max_tasks=2) == "3"
