"""The one grammar of ``%opspawn …`` in a cell and ``opspawn …`` in a shell.

A line that does not parse raises ``UsageError``; nothing here ends the process.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NoReturn

from opspawn_jupyter.client.agent import add_agent_options, add_tape_options
from opspawn_jupyter.client.audit_options import (
    add_audit_options,
    add_bundle_options,
    add_verify_options,
)
from opspawn_jupyter.client.policy_options import add_policy_options
from opspawn_jupyter.client.schedule_options import VERBS, add_import_options, with_verb
from opspawn_jupyter.client.step_options import add_step_options
from opspawn_jupyter.client.tool_options import (
    add_tool_options,
    add_tools_option,
    add_tools_options,
)
from opspawn_jupyter.client.upkeep_options import add_prune_options, add_store_options
from opspawn_jupyter.client.workflow_options import (
    SUBMITTING_ACTIONS,
    add_workflow_options,
    with_workflow,
)
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.model.notebook import Tier
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import SORT_FIELDS

Options = argparse.Namespace


class Surface(Enum):
    """Where a command is typed."""

    SHELL = "shell"
    #: ``%opspawn …``
    LINE = "line"
    #: ``%%opspawn …``: the notebook or the query is the cell's body.
    CELL = "cell"


def parse(words: Sequence[str], surface: Surface) -> Options | None:
    """The command and its options; None where only help or the version was asked for, which is
    printed by then. Raises ``UsageError``."""
    try:
        given = with_workflow(with_verb(words), in_shell=surface is Surface.SHELL)
        return _grammar(surface).parse_args(given)
    except _Answered:
        return None


def is_submitting(options: Options) -> bool:
    """Whether the command gives a task, and waits for it where that is asked for."""
    if options.command == "workflow":
        return options.action in SUBMITTING_ACTIONS
    return options.command in SUBMITTING


def command_names(surface: Surface) -> tuple[str, ...]:
    """The commands, for completion."""
    if surface is Surface.CELL:
        return _CELL_COMMANDS
    return tuple(n for n in _COMMANDS if surface is Surface.SHELL or n not in _SHELL_COMMANDS)


def option_names(command: str, surface: Surface) -> tuple[str, ...]:
    """The options of one command, for completion."""
    parser = _Parser(add_help=True)
    _COMMANDS[command][1](parser, surface)
    _everywhere(parser, surface)
    return tuple(sorted(name for name in parser.known_options() if name.startswith("--")))


class _Answered(Exception):
    """argparse has printed what was asked for; nothing is wrong."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)  # a later option must not change a script
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise UsageError(hint=f"{message}; usage: {usage}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        raise _Answered

    def known_options(self) -> list[str]:
        return list(self._option_string_actions)


class _Assignments(argparse.Action):
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


def _grammar(surface: Surface) -> _Parser:
    program = {Surface.SHELL: "opspawn", Surface.LINE: "%opspawn", Surface.CELL: "%%opspawn"}
    parser = _Parser(
        prog=program[surface], description="Run notebooks in the background on a Jupyter server."
    )
    if surface is Surface.SHELL:
        from opspawn_jupyter.version import __version__

        parser.add_argument("--version", action="version", version=f"opspawn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in command_names(surface):
        help_text, describe = _COMMANDS[name]
        command = commands.add_parser(name, help=help_text, description=help_text)
        describe(command, surface)
        _everywhere(command, surface)
    return parser


def _everywhere(parser: _Parser, surface: Surface) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, as the API gives it")
    if surface is not Surface.CELL:
        parser.add_argument("--server", metavar="URL", help="address of the Jupyter server")
    else:
        parser.set_defaults(server=None)


def _run(parser: _Parser, surface: Surface) -> None:
    notebook = "" if surface is Surface.CELL else " NOTEBOOK"
    parser.usage = f"%(prog)s{notebook} [-p NAME=VALUE ...] [--wait | --detach] [options]"
    if surface is not Surface.CELL:
        parser.add_argument("notebook", metavar="NOTEBOOK")
    _assignments(parser, "-p", "--parameter", "parameters", "a parameter of the notebook")
    _submitted(parser, surface)
    add_policy_options(parser)
    parser.add_argument(
        "--keep-on-failure",
        action="store_true",
        help="if a cell raises, keep the kernel for a while, to be opened with all its variables",
    )
    add_tools_option(parser)
    parser.add_argument(
        "--tier",
        choices=[tier.value for tier in Tier],
        help="how its kernel starts: kernel (forked; the default), direct (without sockets: up "
        "soonest, cannot be opened or kept), cold (a new process)",
    )
    if surface is Surface.SHELL:
        parser.add_argument(
            "--serve", action="store_true", help="start a Jupyter server for this run only"
        )


def _step(parser: _Parser, surface: Surface) -> None:
    config = "" if surface is Surface.CELL else " [--config JSON]"
    parser.usage = f"%(prog)s KIND{config} [-p NAME=VALUE ...] [--wait | --detach] [options]"
    parser.add_argument("kind", metavar="KIND", help="a plugin, as shell; see the command plugins")
    _assignments(parser, "-p", "--parameter", "parameters", "a field of the configuration")
    add_step_options(parser, is_cell=surface is Surface.CELL)
    _submitted(parser, surface)
    add_policy_options(parser)


def _submitted(parser: _Parser, surface: Surface) -> None:
    """What can be said of every task that runs in a kernel."""
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--wait", action="store_true", help="wait and show what the cells print")
    waiting.add_argument("--detach", dest="wait", action="store_false", help="return at once")
    parser.set_defaults(wait=surface is Surface.SHELL, serve=False)
    parser.add_argument("--name", help="name for people")
    parser.add_argument("--kernel", help="kernel to run in, instead of the usual one")
    _assignments(parser, "--label", None, "labels", "a label to find the task by")
    parser.add_argument("--cwd", metavar="DIR", help="where the kernel starts")
    parser.add_argument("--key", help="submit only once: the same key gives the same task")


def _agent(parser: _Parser, surface: Surface) -> None:
    goal = "" if surface is Surface.CELL else " GOAL"
    parser.usage = f"%(prog)s{goal} [--model MODEL ...] [--agent FILE] [options]"
    if surface is not Surface.CELL:
        parser.add_argument("goal", metavar="GOAL", help="what to find out or do, in quotes")
    _submitted(parser, surface)
    add_agent_options(parser)


def _tape(parser: _Parser, surface: Surface) -> None:
    _task(parser, surface)
    if parser.prog.split()[-1] in ("resume", "branch"):
        add_tape_options(parser)


def _assignments(parser: _Parser, short: str, long: str | None, dest: str, help_text: str) -> None:
    names = [short, long] if long else [short]
    empty: Mapping[str, str] = {}
    parser.add_argument(
        *names, dest=dest, action=_Assignments, default=empty, metavar="NAME=VALUE", help=help_text
    )


def _task(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.add_argument("task", metavar="TASK", help="id of the task, or the end of it")


def _tasks(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    states = [state.value for state in State]
    parser.usage = "%(prog)s [--state STATE ...] [--name NAME] [--kind KIND] [options]"
    parser.add_argument("--state", action="append", choices=states, default=[], metavar="STATE")
    parser.add_argument("--name", help="tasks whose name begins so")
    parser.add_argument("--kind")
    _assignments(parser, "--label", None, "labels", "tasks that carry the label")
    parser.add_argument("--parent", metavar="TASK", help="only the parts of this task")
    parser.add_argument("--top", action="store_true", help="without parts of other tasks")
    dead_help = "only tasks that had retries and ended without success all the same"
    parser.add_argument("--dead", action="store_true", help=dead_help)
    parser.add_argument("--limit", type=_count, default=20)
    sorts = [f"{sign}{field}" for field in SORT_FIELDS for sign in ("", "-")]
    help_text = "one of %(choices)s (write --sort=-name)"
    parser.add_argument(
        "--sort", choices=sorts, default="-created_at", metavar="FIELD", help=help_text
    )


def _logs(parser: _Parser, surface: Surface) -> None:
    _task(parser, surface)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--follow", action="store_true", help="go on until the task has ended")
    amount.add_argument("--tail", type=_count, metavar="N", help="the last N lines")


def _questions(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.add_argument("--task", metavar="TASK", help="only questions of this task")
    parser.add_argument("--all", action="store_true", help="also those that are not open any more")


def _answer(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.usage = "%(prog)s QUESTION ANSWER [--comment TEXT] [options]"
    parser.add_argument("question", metavar="QUESTION", help="id of the question, or the end of it")
    parser.add_argument("answer", metavar="ANSWER", help="mostly yes or no; see `questions`")
    parser.add_argument("--comment", default="", metavar="TEXT", help="why")


def _schedule(parser: _Parser, surface: Surface) -> None:
    parser.usage = "%(prog)s NOTEBOOK --cron RULE | VERB ..."
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (help_text, describe) in VERBS.items():
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        describe(verb, _assignments)
        _everywhere(verb, surface)


def _sql(parser: _Parser, surface: Surface) -> None:
    if surface is not Surface.CELL:
        parser.add_argument("query", metavar="QUERY", nargs="+")


def _notebook(parser: _Parser, surface: Surface) -> None:
    _task(parser, surface)
    parser.add_argument("--html", action="store_true", help="as a web page")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it")


def _params(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.add_argument("notebook", metavar="NOTEBOOK")


def _tools(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.usage = "%(prog)s [SERVER | SERVER.TOOL] [options]"
    add_tools_options(parser)


def _tool(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.usage = "%(prog)s SERVER.TOOL [-p NAME=VALUE ...] [options]"
    add_tool_options(parser)
    _assignments(parser, "-p", "--parameter", "parameters", "an argument of the tool")


def _audit(parser: _Parser, surface: Surface) -> None:
    add_audit_options(parser, in_shell=surface is Surface.SHELL)


def _bundle(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    add_bundle_options(parser)


def _verify(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    add_verify_options(parser)


def _plugins(parser: _Parser, surface: Surface) -> None:
    """It has no options of its own."""


def _workflow(parser: _Parser, surface: Surface) -> None:
    in_cell = surface is Surface.CELL
    add_workflow_options(parser, in_shell=surface is Surface.SHELL, in_cell=in_cell)
    _assignments(parser, "-p", "--parameter", "parameters", "a parameter of the workflow")
    _assignments(parser, "--label", None, "labels", "a label to find the task by")


def _doctor(parser: _Parser, surface: Surface) -> None:
    """It has no options of its own."""


def _prune(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    parser.usage = "%(prog)s [--older-than TIME] [--keep N] [--max-bytes SIZE] [options]"
    add_prune_options(parser)
    _assignments(parser, "--label", None, "labels", "only tasks that carry the label")


def _store(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    parser.usage = "%(prog)s rebuild [--root DIR] [options]"
    add_store_options(parser)


def _import(parser: _Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    parser.usage = "%(prog)s jupyter-scheduler [--database FILE] [--staging DIR] [options]"
    add_import_options(parser)


_COMMANDS: Mapping[str, tuple[str, Any]] = {
    "run": ("Run a notebook in the background.", _run),
    "agent": ("Let a language model work on a goal, in a notebook of its own.", _agent),
    "resume": ("Go on with an agent's run that has ended, from its tape.", _tape),
    "branch": ("Take another way with an agent's run, from one of its cells on.", _tape),
    "replay": ("Make an agent's notebook again from its tape, without model and kernel.", _tape),
    "rerun": ("Run the code of an agent's notebook again, without a model.", _tape),
    "reproduce": ("Find out whether an agent's code gives the same in a clean kernel.", _tape),
    "step": ("Run one step of a plugin in the background: a command, a function…", _step),
    "workflow": ("Run notebooks and other steps as one graph, and look at it.", _workflow),
    "status": ("Show how a task stands.", _task),
    "tasks": ("List tasks.", _tasks),
    "logs": ("Show a task's log.", _logs),
    "result": ("Show the outputs of a task that succeeded.", _task),
    "cancel": ("End a task.", _task),
    "retry": ("Try a task again that ended without success, as a new task.", _task),
    "schedule": ("Have a notebook or workflow run when it is due.", _schedule),
    "questions": ("List what waits for a person's answer.", _questions),
    "answer": ("Answer a question.", _answer),
    "sql": ("Ask the history of tasks, cells and events in SQL.", _sql),
    "notebook": ("Save a task's executed notebook.", _notebook),
    "params": ("Show the parameters that a notebook declares.", _params),
    "tools": ("List tools of MCP servers, approve them, read resources, write prompts.", _tools),
    "tool": ("Call a tool of an MCP server.", _tool),
    "audit": ("Re-run notebooks in clean kernels and judge what they claim.", _audit),
    "plugins": ("Show what steps can do besides notebooks.", _plugins),
    "bundle": ("Save an audit's sealed evidence.", _bundle),
    "verify": ("Verify a bundle of evidence, or the history of tasks.", _verify),
    "doctor": ("Find out what is wrong, and what to do about it.", _doctor),
    "prune": ("Remove run directories of finished tasks; the history stays.", _prune),
    "import": ("Bring in what another scheduler was to run.", _import),
    "store": ("Repair the history of a stopped server.", _store),
}
_CELL_COMMANDS = ("run", "step", "agent", "workflow", "sql")
#: Commands that give a task, and wait for it where that is asked for.
SUBMITTING = ("run", "step", "agent")
_SHELL_COMMANDS = ("store", "verify", "import")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


_count.__name__ = "number from 1 on"  # argparse names the type in its message
