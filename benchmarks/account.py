"""Where the milliseconds of one task go: from place to place on its way, in each tier."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import notebooks, servers
from benchmarks.measure import Way
from opspawn_jupyter.timeline import PLACES

TIERS: Mapping[str, Mapping[str, str]] = {"kernel": {}, "direct": {"tier": "direct"}}
_SEEN = "client.seen"
_WARM_UP = 3
#: Until the spares that a task took are there again: what is measured is a task that finds them.
_REST_SECONDS = 1.0


@dataclass
class Account:
    """Runs a task when its first figure is asked for, and gives the others of the same task."""

    server: servers.Ours
    timeline: Path
    tier: str
    _figures: dict[str, float] = field(default_factory=dict)

    def until(self, place: str) -> float:
        """Milliseconds from the place before to this one; 0 where the task came by earlier."""
        if place not in self._figures:
            self._figures = self._run()
        return self._figures.pop(place)

    def _run(self) -> dict[str, float]:
        time.sleep(_REST_SECONDS)
        begun, skipped = time.monotonic_ns(), self.timeline.stat().st_size
        seconds = self.server.submit_and_wait(["three.ipynb"], **TIERS[self.tier])
        reached = {**self._reached(skipped), _SEEN: begun + round(seconds * 1e9)}
        figures, latest = {}, begun
        for place in (*PLACES, _SEEN):
            at = max(reached.get(place, latest), latest)
            figures[place], latest = (at - latest) / 1e6, at
        return figures

    def _reached(self, skipped: int) -> dict[str, int]:
        """When each place was reached last: reports are taken in more than once. Of runners only
        the task's own counts: others warm themselves up meanwhile."""
        with self.timeline.open("rb") as file:
            file.seek(skipped)
            lines = [line.split() for line in file.read().decode().splitlines()]
        own = {pid for _, _, pid, place in lines if place == "runner.begun"}
        return {
            place: int(at)
            for at, _, pid, place in lines
            if pid in own or not place.startswith("runner.")
        }


@contextmanager
def accounts() -> Iterator[Mapping[str, Way]]:
    """A way for each place and tier."""
    with (
        tempfile.NamedTemporaryFile(suffix=".timeline") as file,
        servers.ours(variables={"OPSPAWN_TIMELINE": file.name}) as own,
    ):
        notebooks.write(own.root, "three", notebooks.THREE)
        for options in (*TIERS.values(),) * _WARM_UP:
            own.submit_and_wait(["three.ipynb"], **options)
        yield {
            f"{tier}: {place}": partial(account.until, place)
            for tier in TIERS
            for account in [Account(own, Path(file.name), tier)]
            for place in (*PLACES, _SEEN)
        }
