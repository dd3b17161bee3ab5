"""Measuring the way of one task."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from opspawn_jupyter import timeline

_CODE = "from opspawn_jupyter import timeline; timeline.reach('worker.taken')"
_PACKAGE = Path(timeline.__file__).parent


def test_places_are_noted_where_somebody_measures(tmp_path: Path) -> None:
    """All processes write into one file, by one clock."""
    target = tmp_path / "timeline"
    variables = {**os.environ, "OPSPAWN_TIMELINE": str(target)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", _CODE], env=variables, check=True)
    (first, _, one, place), (second, _, other, _) = (
        line.split() for line in target.read_text().splitlines()
    )
    assert place == "worker.taken"
    assert int(first) < int(second)
    assert one != other


def test_nothing_is_noted_in_production() -> None:
    """A run pays nothing for being measurable."""
    assert timeline.reach is timeline._pass


def test_each_place_exists_in_the_code_and_each_in_the_code_is_described() -> None:
    """The table of the benchmark would otherwise miss a part of the way, or make one up."""
    sources = "".join(path.read_text() for path in _PACKAGE.rglob("*.py"))
    reached = set(re.findall(r'timeline\.reach\("([\w.]+)"\)', sources))
    assert reached == set(timeline.PLACES)
