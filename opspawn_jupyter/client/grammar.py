"""The one grammar of ``%opspawn …`` in a cell and ``opspawn …`` in a shell.

A line that does not parse raises ``UsageError``; nothing here ends the process. The options of a
command stand in the module of its feature, which is imported when the command is used: a whole
process that only asks how a task stands takes little longer than Python's own start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from opspawn_jupyter.client.parser import Answered, Options, Parser, Surface, add_everywhere
from opspawn_jupyter.client.workflow_options import SUBMITTING_ACTIONS, with_workflow


def parse(words: Sequence[str], surface: Surface) -> Options | None:
    """The command and its options; None where only help or the version was asked for, which is
    printed by then. Raises ``UsageError``."""
    try:
        return _parse(with_workflow(list(words), in_shell=surface is Surface.SHELL), surface)
    except Answered:
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
    options = parser_of(command, surface).known_options()
    return tuple(sorted(name for name in options if name.startswith("--")))


def parser_of(command: str, surface: Surface) -> Parser:
    """What reads the words after this command."""
    help_text, home = _COMMANDS[command]
    module, _, name = home.partition(":")
    describe: Callable[[Parser, Surface], None] = getattr(
        import_module(f"opspawn_jupyter.client.{module}"), name
    )
    parser = Parser(prog=f"{surface.program} {command}", description=help_text)
    describe(parser, surface)
    add_everywhere(parser, surface)
    parser.set_defaults(command=command)
    return parser


def _parse(words: Sequence[str], surface: Surface) -> Options:
    if words and words[0] == "agent":
        from opspawn_jupyter.client.agent_options import with_tape_command  # as all options

        words = with_tape_command(words)
    if not words or words[0] not in command_names(surface):
        return _overview(surface).parse_args(words)
    command, rest = words[0], words[1:]
    if command == "schedule":
        from opspawn_jupyter.client.schedule_options import with_verb  # as all options: when used

        rest = with_verb(rest)
    return parser_of(command, surface).parse_args(rest)


def _overview(surface: Surface) -> Parser:
    """Knows the commands' names, and what each is for."""
    parser = Parser(
        prog=surface.program, description="Run notebooks in the background on a Jupyter server."
    )
    if surface is Surface.SHELL:
        from opspawn_jupyter.version import __version__

        parser.add_argument("--version", action="version", version=f"opspawn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in command_names(surface):
        commands.add_parser(name, help=_COMMANDS[name][0])
    return parser


#: What each command is for, and the module and function beside this one that describe its options.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("Run a notebook in the background.", "run_options:run"),
    "agent": (
        "Let a language model work on a goal, in a notebook of its own.",
        "agent_options:agent",
    ),
    "resume": (
        "Go on with an agent's run that has ended, from its tape.",
        "agent_options:changed_tape",
    ),
    "branch": (
        "Take another way with an agent's run, from one of its cells on.",
        "agent_options:changed_tape",
    ),
    "replay": (
        "Make an agent's notebook again from its tape, without model and kernel.",
        "agent_options:tape",
    ),
    "rerun": ("Run the code of an agent's notebook again, without a model.", "agent_options:tape"),
    "reproduce": (
        "Find out whether an agent's code gives the same in a clean kernel.",
        "agent_options:tape",
    ),
    "step": (
        "Run one step of a plugin in the background: a command, a function…",
        "run_options:step",
    ),
    "workflow": (
        "Run notebooks and other steps as one graph, and look at it.",
        "workflow_options:workflow",
    ),
    "status": ("Show how a task stands.", "task_options:one"),
    "tasks": ("List tasks.", "task_options:listing"),
    "logs": ("Show a task's log.", "task_options:logs"),
    "result": ("Show the outputs of a task that succeeded.", "task_options:one"),
    "cancel": ("End a task.", "task_options:one"),
    "retry": ("Try a task again that ended without success, as a new task.", "task_options:one"),
    "schedule": ("Have a notebook or workflow run when it is due.", "schedule_options:schedule"),
    "questions": ("List what waits for a person's answer.", "question_options:questions"),
    "answer": ("Answer a question.", "question_options:answer"),
    "notes": ("List, search and change notes of agents.", "note_options:notes"),
    "sql": ("Ask the history of tasks, cells and events in SQL.", "task_options:sql"),
    "notebook": ("Save a task's executed notebook.", "task_options:notebook"),
    "params": ("Show the parameters that a notebook declares.", "run_options:params"),
    "tools": (
        "List tools of MCP servers, approve them, read resources, write prompts.",
        "tool_options:tools",
    ),
    "tool": ("Call a tool of an MCP server.", "tool_options:tool"),
    "audit": (
        "Re-run notebooks in clean kernels and judge what they claim.",
        "audit_options:audit",
    ),
    "plugins": ("Show what steps can do besides notebooks.", "task_options:nothing"),
    "bundle": ("Save an audit's sealed evidence.", "audit_options:bundle"),
    "sign": (
        "Sign an audit: as its author, as reviewed, approved or rejected.",
        "audit_options:sign",
    ),
    "signatures": ("List what people have signed under an audit.", "task_options:one"),
    "stale": ("Name notebooks whose outputs are older than their code.", "audit_options:stale"),
    "lineage": ("Show what went into a task and its steps, and what came out.", "task_options:one"),
    "export": (
        "Save the history of a period, sealed, for whoever has to look at it.",
        "audit_options:export",
    ),
    "verify": ("Verify a bundle of evidence, or the history of tasks.", "audit_options:verify"),
    "doctor": ("Find out what is wrong, and what to do about it.", "task_options:nothing"),
    "prune": (
        "Remove run directories of finished tasks; the history stays.",
        "upkeep_options:prune",
    ),
    "import": (
        "Bring in what another scheduler was to run.",
        "schedule_options:add_import_options",
    ),
    "store": ("Repair the history of a stopped server.", "upkeep_options:store"),
}
_CELL_COMMANDS = ("run", "step", "agent", "workflow", "sql")
#: Commands that give a task, and wait for it where that is asked for.
SUBMITTING = ("run", "step", "agent")
_SHELL_COMMANDS = ("store", "verify", "import", "stale")
