"""Our loggers in Jupyter's server."""

from __future__ import annotations

import logging


def speak_through(log: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
    """Let our loggers write where Jupyter's do, as Jupyter itself does with tornado's."""
    theirs = log.logger if isinstance(log, logging.LoggerAdapter) else log
    ours = logging.getLogger("opspawn_jupyter")
    ours.parent = theirs
    ours.setLevel(max(theirs.getEffectiveLevel(), _heard_level(theirs)))


def _heard_level(log: logging.Logger) -> int:
    """The lowest level that somebody hears. Jupyter's loggers take every level, and leave out what
    is too low once a record of it is made, which is as much work as to write it."""
    levels: list[int] = []
    speaking: logging.Logger | None = log
    while speaking is not None:
        levels += [handler.level for handler in speaking.handlers]
        speaking = speaking.parent if speaking.propagate else None
    return min(levels, default=logging.NOTSET)
