"""What the server can say of the ways in which its tasks' kernels start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.possibility import forking_obstacle
from opspawn_jupyter.model.diagnosis import ForkServerStatus


def tier(argv: Sequence[str]) -> dict[str, str]:
    """``tier`` in which tasks start a kernel with this command; ``tier_reason`` if it is cold."""
    obstacle = forking_obstacle(argv)
    return {"tier": "kernel"} if obstacle is None else {"tier_reason": obstacle}


def statuses(state_directory: Path) -> tuple[ForkServerStatus, ...]:
    """The fork servers of all workers. Asks each of them, and waits for its answer."""
    return tuple(
        ForkServerStatus(
            interpreter=told["interpreter"],
            pid=told["pid"],
            kernels=len(told["kernels"]),
            spares=len(told["spares"]),
            preload=tuple(told["preload"]),
            obstacle=told["obstacle"],
        )
        for place in _places(state_directory)
        for told in servers.statuses(place)
        if told
    )


def _places(state_directory: Path) -> Iterator[Path]:
    for record in sorted((state_directory / "workers").glob("*.json")):
        try:
            yield Path(json.loads(record.read_bytes())["fork_servers"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written, or of a worker that is gone
