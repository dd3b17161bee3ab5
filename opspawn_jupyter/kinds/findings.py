"""Mistakes in a document, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from opspawn_jupyter.kinds.positions import Document
from opspawn_jupyter.model.fault import Fault

#: Where something stands in the document.
Path = tuple[str | int, ...]
#: More are not listed: the first ones tell enough.
_MOST_FAULTS = 100


@dataclass
class Findings:
    """What was found, in the order in which it was."""

    document: Document
    #: How many more there are than are listed.
    more: int = 0
    _faults: dict[Fault, None] = field(default_factory=dict)
    #: What was left out, and all that holds it.
    _left_out: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._faults.update(dict.fromkeys(self.document.faults[:_MOST_FAULTS]))

    @property
    def faults(self) -> list[Fault]:
        """All that are listed, from the top of the file to its end."""
        ordered = sorted(self._faults, key=lambda one: (one.line or 0, one.column or 0))
        if self.more:
            ordered.append(Fault(message=f"and {self.more} more, told once these are mended"))
        return ordered

    @property
    def is_full(self) -> bool:
        """Whether further ones are only counted."""
        return len(self._faults) >= _MOST_FAULTS

    def add(self, path: Path, message: str) -> None:
        """Note one at the place of this path, or of what holds it."""
        line, column = self._place(path)
        fault = Fault(line=line, column=column, message=message)
        if fault in self._faults:
            return
        if self.is_full:
            self.more += 1
        else:
            self._faults[fault] = None

    def leave_out(self, path: Path, message: str) -> None:
        """Note that what stands there cannot be read, so that it is as if it were not there."""
        self._left_out.update(path[:n] for n in range(len(path) + 1))
        self.add(path, message)

    def lacks(self, path: Path) -> bool:
        """Whether something was left out there, or in what stands there."""
        return path in self._left_out

    def first_of(self, *paths: Path) -> Path:
        """The first of these that there is in the document."""
        return next((path for path in paths if path in self.document.places), paths[0])

    def _place(self, path: Path) -> tuple[int | None, int | None]:
        places = self.document.places
        found = (path[:n] for n in range(len(path), -1, -1) if path[:n] in places)
        known = next(found, None)
        return (None, None) if known is None else places[known]
