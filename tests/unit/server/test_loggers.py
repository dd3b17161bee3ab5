"""Our loggers in Jupyter's server."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from opspawn_jupyter.server.loggers import speak_through


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """The logger above all of ours, as it was afterwards."""
    log = logging.getLogger("opspawn_jupyter")
    parent, level = log.parent, log.level
    yield log
    log.parent = parent
    log.setLevel(level)


def _jupyters(level: int) -> logging.Logger:
    """As traitlets makes it: the logger takes all, its handler says what is written."""
    log = logging.Logger("jupyter", logging.DEBUG)  # noqa: LOG001  of no other's concern
    log.propagate = False
    handler = logging.NullHandler()
    handler.setLevel(level)
    log.addHandler(handler)
    return log


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_what_jupyter_does_not_write_is_not_even_made(ours: logging.Logger, level: int) -> None:
    """A record that is dropped costs as much as one that is written."""
    jupyters = _jupyters(level)

    speak_through(jupyters)

    assert ours.parent is jupyters
    assert ours.getEffectiveLevel() == level


def test_an_adapter_is_spoken_through_too(ours: logging.Logger) -> None:
    """It is what Jupyter has under some of its applications."""
    jupyters = _jupyters(logging.INFO)

    speak_through(logging.LoggerAdapter(jupyters))

    assert ours.parent is jupyters
