"""Options of ``workflow``."""

from __future__ import annotations

import argparse

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments

#: What can be done with a workflow: what is named after the word, and what it does.
ACTIONS = {
    "run": ("FILE", "run it"),
    "validate": ("FILE", "say all that is wrong with it"),
    "show": ("TASK", "a run with its steps"),
    "explain": ("TASK", "why each step ran, or did not have to"),
    "repair": ("TASK", "run again what did not succeed, and what follows"),
    "rerun": ("TASK", "run again, from a step or with other parameters"),
    "compare": ("TASK TASK", "what the second run did differently"),
    "schema": ("", "JSON Schema of the file, for editors"),
    "list-plugins": ("", "what steps can do besides notebooks"),
    "copy-example": ("DIR", "copy the examples there"),
}
#: Actions that give a task, and wait for it where that is asked for.
SUBMITTING_ACTIONS = ("run", "repair", "rerun")


def workflow(parser: Parser, surface: Surface) -> None:
    """``workflow``: the options, for ``workflow_commands`` to read."""
    in_shell, in_cell = surface is Surface.SHELL, surface is Surface.CELL
    lines = "; ".join(
        f"{name} {targets}".rstrip() + f": {what}" for name, (targets, what) in ACTIONS.items()
    )
    if in_cell:
        parser.usage = "%(prog)s [validate] [-p NAME=VALUE ...] [--wait] [options]"
        parser.add_argument("action", nargs="?", default="run", choices=("run", "validate"))
        parser.set_defaults(targets=[])
    else:
        parser.usage = "%(prog)s ACTION [FILE | TASK ...] [options]"
        parser.add_argument("action", metavar="ACTION", choices=list(ACTIONS), help=lines)
        parser.add_argument("targets", metavar="FILE | TASK", nargs="*")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--wait", action="store_true", help="wait for the end")
    waiting.add_argument("--detach", dest="wait", action="store_false", help="return at once")
    parser.set_defaults(wait=in_shell, serve=False)
    parser.add_argument("--force", action="store_true", help="run every step, without the cache")
    parser.add_argument("--name", help="name for people")
    parser.add_argument("--from", dest="from_step", metavar="STEP", help="rerun from this step on")
    parser.add_argument(
        "--log-dir", metavar="DIR", help="where to put log and summary, beside the run directory"
    )
    parser.add_argument("--cwd", metavar="DIR", help="where relative paths in the file start")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="limit for all of it")
    parser.add_argument("--key", help="submit only once: the same key gives the same task")
    formats = ("text", "mermaid")
    parser.add_argument("--format", choices=formats, default="text", help="of show")
    if in_shell:
        parser.add_argument(
            "--serve", action="store_true", help="start a Jupyter server for this run only"
        )
        parser.add_argument("--serve-if-needed", action="store_true", help=argparse.SUPPRESS)
    add_assignments(parser, "-p", "--parameter", "parameters", "a parameter of the workflow")
    add_assignments(parser, "--label", None, "labels", "a label to find the task by")


def with_workflow(words: list[str], *, in_shell: bool) -> list[str]:
    """The words, where the first is a workflow's file, as those that run it: in a shell also
    where no server is there."""
    if words and words[0].endswith((".yaml", ".yml")):
        can_serve = in_shell and not {"--detach", "--server", "--serve"} & set(words)
        return ["workflow", "run", *words, *(["--serve-if-needed"] if can_serve else [])]
    return words


def problem_with(action: str, targets: list[str], *, in_cell: bool) -> str:
    """What is wrong with the number of targets; empty where nothing is."""
    wanted = "" if in_cell else ACTIONS[action][0]
    if len(targets) == len(wanted.split()):
        return ""
    return f"workflow {action} takes {wanted or 'nothing'}"
