"""Options of ``agent`` and of the commands that go on from its tape."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opspawn_jupyter.client.agent import TAPE_COMMANDS, add_agent_options, add_tape_options
from opspawn_jupyter.client.parser import Parser, Surface, add_task
from opspawn_jupyter.client.run_options import add_submitted

#: An id, or the end of one.
_TASK = re.compile(r"[0-9a-fA-F-]{4,36}")


def with_tape_command(words: Sequence[str]) -> Sequence[str]:
    """``agent VERB TASK …`` means ``VERB TASK …``; ``agent verify TASK`` is ``reproduce``, because
    ``verify`` alone is about evidence."""
    verb = "reproduce" if words[1:2] == ["verify"] else "".join(words[1:2])
    is_task = _TASK.fullmatch("".join(words[2:3])) is not None
    return [verb, *words[2:]] if verb in TAPE_COMMANDS and is_task else words


def agent(parser: Parser, surface: Surface) -> None:
    """``agent``: the goal, which in a cell is its body, and how it is worked on."""
    goal = "" if surface is Surface.CELL else " GOAL"
    parser.usage = f"%(prog)s{goal} [--model MODEL ...] [--agent FILE] [options]"
    if surface is not Surface.CELL:
        parser.add_argument("goal", metavar="GOAL", help="what to find out or do, in quotes")
    add_submitted(parser, surface)
    add_agent_options(parser)


def tape(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``replay``, ``rerun``, ``reproduce``: of which task."""
    add_task(parser)


def changed_tape(parser: Parser, surface: Surface) -> None:
    """``resume``, ``branch``: of which task, and what is to be different."""
    tape(parser, surface)
    add_tape_options(parser)
