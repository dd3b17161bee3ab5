"""How a fork server is set up: the same object on the side that starts it and in the server."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """All of it. Part of a fork server's name: other options are another server."""

    #: Private directory (0700) of the sockets, the lock and the log.
    directory: str
    #: Modules imported before the first fork.
    preload: tuple[str, ...] = ()
    #: Kernels kept up and waiting.
    spares: int = 2
    #: Kernel arguments that spares are started with; they serve launches with the same ones.
    spare_arguments: tuple[str, ...] = ()
    #: "ipc" or "tcp": how clients reach kernels that were waiting.
    transport: str = "ipc"
    #: The server ends when it had no kernel to look after for so long.
    idle_seconds: float = 900.0
    #: The server ends with this process; 0: it belongs to nobody.
    owner: int = 0
    #: Environment variable that says whose a kernel is. Where it is given, a kernel ends with all
    #: that it started, and shows the variable to whoever looks for what is left of a run.
    mark: str = ""

    def dump(self) -> str:
        """As one command-line argument."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Options:
        """Back from the command line."""
        values: dict[str, Any] = json.loads(text)
        for name in ("preload", "spare_arguments"):
            values[name] = tuple(values[name])
        return cls(**values)
