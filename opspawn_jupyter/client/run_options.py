"""Options of ``run`` and ``step``, and what can be said of every task that runs in a kernel."""

from __future__ import annotations

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments
from opspawn_jupyter.client.policy_options import add_policy_options
from opspawn_jupyter.client.step_options import add_step_options
from opspawn_jupyter.client.tool_options import add_tools_option
from opspawn_jupyter.model.notebook import Tier


def run(parser: Parser, surface: Surface) -> None:
    """``run``: the notebook and how it is to run."""
    notebook = "" if surface is Surface.CELL else " NOTEBOOK"
    parser.usage = f"%(prog)s{notebook} [-p NAME=VALUE ...] [--wait | --detach] [options]"
    if surface is not Surface.CELL:
        parser.add_argument("notebook", metavar="NOTEBOOK")
    add_assignments(parser, "-p", "--parameter", "parameters", "a parameter of the notebook")
    add_submitted(parser, surface)
    add_policy_options(parser)
    parser.add_argument(
        "--keep-on-failure",
        action="store_true",
        help="if a cell raises, keep the kernel for a while, to be opened with all its variables",
    )
    add_tools_option(parser)
    parser.add_argument(
        "--tier",
        choices=[tier.value for tier in Tier if tier is not Tier.POOL],
        help="how its kernel starts: kernel (forked; the default), direct (without sockets: up "
        "soonest, cannot be opened or kept), cold (a new process)",
    )
    if surface is Surface.SHELL:
        parser.add_argument(
            "--serve", action="store_true", help="start a Jupyter server for this run only"
        )


def step(parser: Parser, surface: Surface) -> None:
    """``step``: the plugin, its configuration and how it is to run."""
    config = "" if surface is Surface.CELL else " [--config JSON]"
    parser.usage = f"%(prog)s KIND{config} [-p NAME=VALUE ...] [--wait | --detach] [options]"
    parser.add_argument("kind", metavar="KIND", help="a plugin, as shell; see the command plugins")
    add_assignments(parser, "-p", "--parameter", "parameters", "a field of the configuration")
    add_step_options(parser, is_cell=surface is Surface.CELL)
    add_submitted(parser, surface)
    add_policy_options(parser)


def params(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``params``: of which notebook."""
    parser.add_argument("notebook", metavar="NOTEBOOK")


def add_submitted(parser: Parser, surface: Surface) -> None:
    """What can be said of every task that runs in a kernel."""
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--wait", action="store_true", help="wait and show what the cells print")
    waiting.add_argument("--detach", dest="wait", action="store_false", help="return at once")
    parser.set_defaults(wait=surface is Surface.SHELL, serve=False)
    parser.add_argument("--name", help="name for people")
    parser.add_argument("--kernel", help="kernel to run in, instead of the usual one")
    add_assignments(parser, "--label", None, "labels", "a label to find the task by")
    parser.add_argument("--cwd", metavar="DIR", help="where the kernel starts")
    parser.add_argument("--key", help="submit only once: the same key gives the same task")
