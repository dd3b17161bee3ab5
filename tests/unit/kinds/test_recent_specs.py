"""Kernelspecs that are read seldom."""

from __future__ import annotations

from typing import Any

import pytest

from opspawn_jupyter.kinds import recent_specs
from opspawn_jupyter.kinds.recent_specs import RecentSpecs


def test_they_are_read_once_for_many_and_again_when_time_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new kernel must be found without a restart."""
    reads: list[dict[str, Any]] = [{"python3": {}}, {"python3": {}, "new": {}}]
    clock = [100.0]
    monkeypatch.setattr(recent_specs.time, "monotonic", lambda: clock[0])
    specs = RecentSpecs(lambda: reads.pop(0))

    assert [list(specs()) for _ in range(3)] == [["python3"]] * 3
    clock[0] += 1
    assert list(specs()) == ["python3", "new"]
