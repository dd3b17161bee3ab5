"""Options of ``notes``."""

from __future__ import annotations

from opspawn_jupyter.client.parser import Parser, Surface, count


def notes(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``notes``: of which collection, and what is to become of it."""
    parser.usage = "%(prog)s NAME [WORDS | --add TEXT | --forget ID] [options]"
    parser.add_argument("scope", metavar="NAME", help="the collection, as agents are given it")
    parser.add_argument("words", metavar="WORDS", nargs="*", help="what to look for")
    changes = parser.add_mutually_exclusive_group()
    changes.add_argument("--add", metavar="TEXT", help="write a note")
    changes.add_argument("--forget", metavar="ID", help="have a note found no more")
    parser.add_argument("--limit", type=count, default=20)
