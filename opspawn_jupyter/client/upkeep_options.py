"""Options of the commands that look after the system: ``doctor``, ``prune``, ``store``."""

from __future__ import annotations

import re

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments
from opspawn_jupyter.client.state_files import RUNS_DIRECTORY, STATE_DIRECTORY

_DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)


def prune(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``prune``: what of the finished tasks goes."""
    parser.usage = "%(prog)s [--older-than TIME] [--keep N] [--max-bytes SIZE] [options]"
    parser.add_argument("--dry-run", action="store_true", help="only show what would go")
    parser.add_argument(
        "--older-than", type=_days, metavar="TIME", help="what ended longer ago: 30d, 12h, 2w"
    )
    parser.add_argument("--keep", type=_amount, metavar="N", help="all but the newest N")
    parser.add_argument(
        "--max-bytes", type=_bytes, metavar="SIZE", help="all beyond the newest SIZE: 10GB, 500MB"
    )
    add_assignments(parser, "--label", None, "labels", "only tasks that carry the label")


def store(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    """``store``: what is done with the files of a stopped server."""
    parser.usage = "%(prog)s rebuild [--root DIR] [options]"
    parser.add_argument(
        "action", choices=("rebuild",), help="restore the history from the run directories"
    )
    parser.add_argument("--root", metavar="DIR", help="the server's root, if not the present one")
    parser.add_argument(
        "--state-directory",
        metavar="DIR",
        default=STATE_DIRECTORY,
        help="where the server's settings put the store, from the root",
    )
    parser.add_argument(
        "--runs-directory",
        metavar="DIR",
        default=RUNS_DIRECTORY,
        help="where they put run directories, from the root",
    )


def _days(text: str) -> float:
    age = _AGE.fullmatch(text)
    if age is None:
        raise ValueError
    return float(age[1]) * _DAYS[age[2]]


def _amount(text: str) -> int:
    amount = int(text)
    if amount < 0:
        raise ValueError
    return amount


def _bytes(text: str) -> int:
    size = _SIZE.fullmatch(text)
    if size is None:
        raise ValueError
    return int(float(size[1]) * _BYTES[size[2].lower()])


# argparse names the type in its message.
_days.__name__ = "time (30d, 12h, 2w)"
_amount.__name__ = "number from 0 on"
_bytes.__name__ = "size (10GB, 500MB)"
