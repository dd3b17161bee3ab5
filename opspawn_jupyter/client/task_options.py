"""Options of the commands that look at tasks."""

from __future__ import annotations

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments, add_task, count
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import SORT_FIELDS


def one(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``status``, ``result``, ``cancel``, ``retry``: which task."""
    add_task(parser)


def listing(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``tasks``: which, and in which order."""
    states = [state.value for state in State]
    parser.usage = "%(prog)s [--state STATE ...] [--name NAME] [--kind KIND] [options]"
    parser.add_argument("--state", action="append", choices=states, default=[], metavar="STATE")
    parser.add_argument("--name", help="tasks whose name begins so")
    parser.add_argument("--kind")
    add_assignments(parser, "--label", None, "labels", "tasks that carry the label")
    parser.add_argument("--parent", metavar="TASK", help="only the parts of this task")
    parser.add_argument("--top", action="store_true", help="without parts of other tasks")
    dead_help = "only tasks that had retries and ended without success all the same"
    parser.add_argument("--dead", action="store_true", help=dead_help)
    parser.add_argument("--limit", type=count, default=20)
    sorts = [f"{sign}{field}" for field in SORT_FIELDS for sign in ("", "-")]
    help_text = "one of %(choices)s (write --sort=-name)"
    parser.add_argument(
        "--sort", choices=sorts, default="-created_at", metavar="FIELD", help=help_text
    )


def logs(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``logs``: of which task, and how much."""
    add_task(parser)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--follow", action="store_true", help="go on until the task has ended")
    amount.add_argument("--tail", type=count, metavar="N", help="the last N lines")


def notebook(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``notebook``: of which task, and where to."""
    add_task(parser)
    parser.add_argument("--html", action="store_true", help="as a web page")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it")


def sql(parser: Parser, surface: Surface) -> None:
    """``sql``: the query, which in a cell is its body."""
    if surface is not Surface.CELL:
        parser.add_argument("query", metavar="QUERY", nargs="+")


def nothing(parser: Parser, surface: Surface) -> None:
    """``plugins``, ``doctor``: no options of their own."""
