"""Reading kernel commands: which of them a fork can stand in for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

_MODULE = "ipykernel_launcher"


@dataclass(frozen=True, kw_only=True)
class KernelCommand:
    """``[interpreter, *flags, -m, ipykernel_launcher, -f, connection file, *extra]``."""

    interpreter: str
    #: Options of the interpreter itself; each is one word, such as ``-Xfrozen_modules=off``.
    flags: tuple[str, ...]
    connection_file: str
    #: The launcher's arguments after the connection file.
    extra: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """All of the launcher's arguments."""
        return ("-f", self.connection_file, *self.extra)

    def with_file(self, connection_file: str) -> KernelCommand:
        """The same command for another connection file."""
        known = self.connection_file
        words = tuple(connection_file if word == known else word for word in self.words)
        return replace(self, connection_file=connection_file, words=words)


def parse(words: Sequence[str]) -> KernelCommand | None:
    """The command of an ordinary ipykernel; ``None`` for everything else."""
    if not words:
        return None
    interpreter, *rest = words
    flags = tuple(takewhile(lambda word: word.startswith(("-X", "-W")) and len(word) > 2, rest))
    match rest[len(flags) :]:
        case ["-m", module, "-f", connection_file, *extra] if module == _MODULE:
            return KernelCommand(
                interpreter=interpreter,
                flags=flags,
                connection_file=connection_file,
                extra=tuple(extra),
                words=tuple(words),
            )
    return None
