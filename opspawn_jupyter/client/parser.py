"""What the commands' parsers have in common; each command's options stand with its feature.

A line that does not parse raises ``UsageError``; nothing here ends the process.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn

from opspawn_jupyter.errors import UsageError

Options = argparse.Namespace
_COLUMNS = 80


class Surface(Enum):
    """Where a command is typed."""

    SHELL = "shell"
    #: ``%opspawn …``
    LINE = "line"
    #: ``%%opspawn …``: the notebook or the query is the cell's body.
    CELL = "cell"

    @property
    def program(self) -> str:
        """What is typed before the command."""
        return {"shell": "opspawn", "line": "%opspawn", "cell": "%%opspawn"}[self.value]


class Answered(Exception):
    """argparse has printed what was asked for; nothing is wrong."""


class _Formatter(argparse.HelpFormatter):
    """Finds the width itself: argparse imports ``shutil``, with all archive formats, for that."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or _COLUMNS  # type: ignore[union-attr]  # as where there is none
    except (AttributeError, ValueError, OSError):  # no terminal
        return _COLUMNS


class Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Formatter)
        settings.setdefault("allow_abbrev", False)  # a later option must not change a script
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Raises ``UsageError``."""
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise UsageError(hint=f"{message}; usage: {usage}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        """Raises ``Answered``."""
        raise Answered

    def known_options(self) -> list[str]:
        """Every option, long and short."""
        return list(self._option_string_actions)


class _Collected(argparse.Action):
    """``NAME=VALUE``, collected by name."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        name, equals, value = values.partition("=")
        if not equals or not name.strip():
            parser.error(f"{option_string} takes NAME=VALUE, not {values!r}")
        collected: dict[str, str] = dict(getattr(namespace, self.dest))
        if name in collected:
            parser.error(f"{option_string} gives {name!r} twice")
        setattr(namespace, self.dest, {**collected, name: value})


def add_everywhere(parser: Parser, surface: Surface) -> None:
    """What every command takes."""
    parser.add_argument("--json", action="store_true", help="print JSON, as the API gives it")
    if surface is not Surface.CELL:
        parser.add_argument("--server", metavar="URL", help="address of the Jupyter server")
    else:
        parser.set_defaults(server=None)


def add_assignments(
    parser: argparse.ArgumentParser, short: str, long: str | None, dest: str, help_text: str
) -> None:
    """An option ``NAME=VALUE`` that may be given several times."""
    names = [short, long] if long else [short]
    empty: Mapping[str, str] = {}
    parser.add_argument(
        *names, dest=dest, action=_Collected, default=empty, metavar="NAME=VALUE", help=help_text
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    """Which task is meant."""
    parser.add_argument("task", metavar="TASK", help="id of the task, or the end of it")


def count(text: str) -> int:
    """A type of argparse's: a number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


count.__name__ = "number from 1 on"  # argparse names the type in its message
