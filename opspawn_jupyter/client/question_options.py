"""Options of ``questions`` and ``answer``."""

from __future__ import annotations

from opspawn_jupyter.client.parser import Parser, Surface


def questions(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``questions``: which."""
    parser.add_argument("--task", metavar="TASK", help="only questions of this task")
    parser.add_argument("--all", action="store_true", help="also those that are not open any more")


def answer(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``answer``: to which question, and what."""
    parser.usage = "%(prog)s QUESTION ANSWER [--comment TEXT] [options]"
    parser.add_argument("question", metavar="QUESTION", help="id of the question, or the end of it")
    parser.add_argument("answer", metavar="ANSWER", help="mostly yes or no; see `questions`")
    parser.add_argument("--comment", default="", metavar="TEXT", help="why")
