"""Options of ``schedule`` and its verbs. ``schedule nb.ipynb --cron …`` means ``schedule add``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments, add_everywhere
from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.client.policy_options import (
    add_policy_options,
    moment,
    policy_of,
    span,
)
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.schedule import CatchUp, Overlap, Plan, Source, Timing
from opspawn_jupyter.model.schedule_view import Edit
from opspawn_jupyter.model.task import Submission

#: Adds ``-p NAME=VALUE`` and the like.
Assignments = Callable[..., None]
_FLAG = {"action": argparse.BooleanOptionalAction, "default": None}
_STRUCTURED = (".yaml", ".yml")


def with_verb(words: Sequence[str]) -> list[str]:
    """The words after ``schedule``, with ``add`` put in where they begin with no verb."""
    if not words or words[0] in ("-h", "--help", *VERBS):
        return list(words)
    return ["add", *words]


def add_options(parser: Any, assignments: Assignments) -> None:
    """``add``: what to run, when, and how to treat what goes wrong."""
    parser.usage = "%(prog)s NOTEBOOK --cron RULE [--tz ZONE] [-p NAME=VALUE ...] [options]"
    help_text = "notebook, or workflow as YAML; with --kind what that kind takes as its name"
    parser.add_argument("notebook", metavar="NOTEBOOK", nargs="?", help=help_text)
    parser.add_argument("--name", help="unique name; the notebook's, where it is left out")
    _what(parser, assignments)
    _when(parser)
    _how(parser)


def edit_options(parser: Any, assignments: Assignments) -> None:
    """``edit``: only what is given is changed."""
    parser.usage = "%(prog)s SCHEDULE [--cron RULE] [-p NAME=VALUE ...] [options]"
    _schedule(parser, assignments)
    parser.add_argument("--name", metavar="NAME", help="another name; its history stays its own")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why; kept in the history")
    parser.add_argument("--notebook", metavar="NOTEBOOK", help="another notebook")
    _what(parser, assignments)
    _when(parser)
    _how(parser)


def _what(parser: Any, assignments: Assignments) -> None:
    text = "a parameter; may hold {{ scheduled_time }} and the like"
    assignments(parser, "-p", "--parameter", "parameters", text)
    parser.add_argument("--kernel", help="kernel to run in, instead of the notebook's own")
    parser.add_argument("--cwd", metavar="DIR", help="where the kernel starts")
    assignments(parser, "--label", None, "labels", "a label for each task")
    parser.add_argument("--kind", help="kind of task, where it is neither notebook nor workflow")
    parser.add_argument("--spec", type=_object, metavar="JSON", help="what that kind takes")
    add_policy_options(parser)


def _when(parser: Any) -> None:
    parser.add_argument("--cron", metavar="RULE", help='as "0 6 * * 1-5", or @daily')
    parser.add_argument("--every", type=span, metavar="TIME", help="as 90m (s, m, h, d)")
    parser.add_argument("--at", type=_moment, metavar="TIME", help="once: +2h, 2030-01-31T09:00")
    parser.add_argument("--tz", metavar="ZONE", help="as Europe/Berlin; UTC where left out")
    parser.add_argument("--start", type=_moment, metavar="TIME", help="not due before")
    parser.add_argument("--end", type=_moment, metavar="TIME", help="not due after")
    help_text = "a day without due times, as 2026-12-25; may be given several times"
    parser.add_argument("--exclude", action="append", metavar="DATE", help=help_text)
    parser.add_argument("--jitter", type=span, metavar="TIME", help="start up to so much later")
    help_text = "start when a file under the server's root comes or changes, as 'data/*.csv'"
    parser.add_argument("--on-file", action="append", metavar="PATTERN", help=help_text)
    help_text = "start after each success of that schedule"
    parser.add_argument("--after", action="append", metavar="SCHEDULE", help=help_text)
    help_text = "start after each success of that workflow, whoever runs it: its file, or its name"
    parser.add_argument("--after-workflow", action="append", metavar="WORKFLOW", help=help_text)
    parser.add_argument("--webhook", **_FLAG, help="start when called with the schedule's token")


def _how(parser: Any) -> None:
    help_text = "while an earlier task has not ended: one of %(choices)s"
    choices = [one.value for one in Overlap]
    parser.add_argument("--overlap", choices=choices, metavar="RULE", help=help_text)
    help_text = "what was due while no server ran: one of %(choices)s"
    choices = [one.value for one in CatchUp]
    parser.add_argument("--catch-up", choices=choices, metavar="RULE", help=help_text)
    parser.add_argument("--catch-up-window", type=span, metavar="TIME", help="not further back")
    help_text = "run the file as it is now, at every due time, instead of as it is then"
    parser.add_argument("--pin", **_FLAG, help=help_text)
    help_text = "pause after so many failures in a row"
    parser.add_argument("--pause-after", type=int, metavar="N", help=help_text)
    parser.add_argument("--html", **_FLAG, help="have each run as a web page too")
    help_text = "and as a PDF; the server's machine needs Chromium or Chrome"
    parser.add_argument("--pdf", **_FLAG, help=help_text)
    parser.add_argument("--keep", type=int, metavar="N", help="keep the newest N run directories")
    for option, when in (("--on-recovery", "succeeds again"), ("--on-change", "has other outputs")):
        help_text = f"webhook or notifier to tell when it {when}"
        parser.add_argument(option, action="append", metavar="URL", help=help_text)


def _schedule(parser: Any, assignments: Assignments) -> None:  # noqa: ARG001 (as the others)
    parser.add_argument("schedule", metavar="SCHEDULE", help="its name")


def _list(parser: Any, assignments: Assignments) -> None:
    """It has no options of its own."""


def _next(parser: Any, assignments: Assignments) -> None:
    _schedule(parser, assignments)
    parser.add_argument("--count", type=int, default=10, metavar="N", help="how many")


def _history(parser: Any, assignments: Assignments) -> None:
    _schedule(parser, assignments)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="the newest N")


def _backfill(parser: Any, assignments: Assignments) -> None:
    parser.usage = "%(prog)s SCHEDULE START END [options]"
    _schedule(parser, assignments)
    parser.add_argument("start", metavar="START", type=moment, help="as 2026-11-01")
    parser.add_argument("end", metavar="END", type=moment, help="as 2026-11-08T12:00")


def _why(parser: Any, assignments: Assignments) -> None:
    parser.usage = "%(prog)s SCHEDULE TIME [options]"
    _schedule(parser, assignments)
    help_text = "due time, in the schedule's own zone: 2026-11-20T06:00"
    parser.add_argument("time", metavar="TIME", type=_time, help=help_text)


VERBS: Mapping[str, tuple[str, Callable[[Any, Assignments], None]]] = {
    "add": ("Have a notebook or workflow run when it is due.", add_options),
    "list": ("List schedules.", _list),
    "show": ("Show how a schedule stands.", _schedule),
    "next": ("Show when a schedule is due next.", _next),
    "pause": ("Have a schedule not be due.", _schedule),
    "resume": ("Have a paused schedule be due again.", _schedule),
    "trigger": ("Submit a schedule's task now.", _schedule),
    "edit": ("Change a schedule: only what is given.", edit_options),
    "delete": ("End a schedule; its tasks and its history stay.", _schedule),
    "backfill": ("Submit tasks for a period's due times that have none.", _backfill),
    "history": ("List what became of a schedule's due times.", _history),
    "why": ("Say what became of a due time.", _why),
    "token": ("Make another token for a schedule's webhook.", _schedule),
}


def schedule(parser: Parser, surface: Surface) -> None:
    """``schedule``: its verbs, each with its options."""
    parser.usage = "%(prog)s NOTEBOOK --cron RULE | VERB ..."
    # Else argparse would put the usage above before each verb's.
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog=parser.prog)
    for name, (help_text, describe) in VERBS.items():
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        describe(verb, add_assignments)
        add_everywhere(verb, surface)


def add_import_options(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (as the others)
    """``import``: where the other scheduler keeps its things."""
    parser.usage = "%(prog)s jupyter-scheduler [--database FILE] [--staging DIR] [options]"
    parser.add_argument("source", metavar="SCHEDULER", choices=["jupyter-scheduler"])
    help_text = "its database; scheduler.sqlite in Jupyter's data directory where left out"
    parser.add_argument("--database", metavar="FILE", help=help_text)
    help_text = "its copies of notebooks; scheduler_staging_area there where left out"
    parser.add_argument("--staging", metavar="DIR", help=help_text)
    help_text = "bring in the definitions only, not the jobs that have run"
    parser.add_argument("--no-jobs", action="store_true", help=help_text)
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")


def plan_of(options: argparse.Namespace) -> Plan:
    """What ``add`` with these options asks for. Raises ``UsageError``."""
    submission = _submission(options)
    name = options.name or _stem(options.notebook or options.kind or "")
    given = {**_choices(options), "timing": Timing(**_timing(options))}
    return Plan(name=name, submission=submission, **given)


def edit_of(options: argparse.Namespace) -> Edit:
    """What ``edit`` with these options changes. Raises ``UsageError`` where that is nothing."""
    changes: dict[str, Any] = {**_choices(options)}
    if options.name is not None:
        changes["name"] = options.name
    if timing := _timing(options):
        changes["timing"] = timing
    asked = {
        "notebook": sent_path(options.notebook) if options.notebook else None,
        "parameters_text": options.parameters or None,
        "kernel": options.kernel,
        "working_directory": options.cwd,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    spec = {**(options.spec or {}), **given}
    if submission := _submission_changes(options, spec):
        changes["submission"] = submission
    if not changes:
        raise UsageError(hint="say what to change; see opspawn schedule edit --help")
    return Edit(changes=changes)


def _submission_changes(options: argparse.Namespace, spec: Mapping[str, Any]) -> dict[str, Any]:
    usual = wire.encode(Policy())
    policy = {
        name: value
        for name, value in wire.encode(policy_of(options)).items()
        if value != usual[name]
    }
    given = {
        "spec": spec,
        "labels": options.labels,
        "policy": policy,
        "on_success": options.on_success,
        "on_failure": options.on_failure,
    }
    return {name: value for name, value in given.items() if value}


def _submission(options: argparse.Namespace) -> Submission:
    more: dict[str, Any] = {
        "policy": policy_of(options),
        "labels": options.labels,
        "on_success": tuple(options.on_success),
        "on_failure": tuple(options.on_failure),
    }
    if options.kind is not None or options.spec is not None:
        if options.kind is None:
            raise UsageError(hint="--spec needs --kind")
        return Submission(kind=options.kind, spec=options.spec or {}, **more)
    if options.notebook is None:
        raise UsageError(hint="say what to run: a notebook, a workflow, or --kind and --spec")
    asked = notebook_submission(
        options.notebook,
        parameters_text=options.parameters,
        kernel=options.kernel,
        working_directory=options.cwd,
        **more,
    )
    if options.notebook.endswith(_STRUCTURED):
        spec = {"path": asked.spec["notebook"], "parameters_text": options.parameters}
        return Submission(kind="workflow", spec=spec, **more)
    return asked


def _timing(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "cron": options.cron,
        "every_seconds": options.every,
        "at": _in_zone(options.at, options.tz),
        "timezone": options.tz,
        "starts_at": _in_zone(options.start, options.tz),
        "ends_at": _in_zone(options.end, options.tz),
        "exclude_dates": tuple(options.exclude) if options.exclude else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _choices(options: argparse.Namespace) -> dict[str, Any]:
    """The plan's own fields, as far as they are given."""
    source = {True: Source.PINNED, False: Source.LINKED, None: None}[options.pin]
    given = {
        "jitter_seconds": options.jitter,
        "overlap": options.overlap and Overlap(options.overlap),
        "catch_up": options.catch_up and CatchUp(options.catch_up),
        "catch_up_window_seconds": options.catch_up_window,
        "source": source,
        "pause_after_failures": options.pause_after,
        "files": options.on_file and tuple(options.on_file),
        "follows": options.after and tuple(options.after),
        "follows_workflows": options.after_workflow
        and tuple(_workflow(one) for one in options.after_workflow),
        "webhook": options.webhook,
        "html": options.html,
        "pdf": options.pdf,
        "keep_runs": options.keep,
        "on_recovery": options.on_recovery and tuple(options.on_recovery),
        "on_change": options.on_change and tuple(options.on_change),
    }
    return {name: value for name, value in given.items() if value is not None}


def _workflow(given: str) -> str:
    return sent_path(given) if given.endswith(_STRUCTURED) else given


def _stem(path: str) -> str:
    name = path.replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 (argparse asks for it)
    return value


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment(text: str) -> datetime:
    """``+2h``, or ISO 8601; without an offset it waits for its zone."""
    return moment(text) if text.startswith("+") else datetime.fromisoformat(text)


def _in_zone(given: datetime | None, zone: str | None) -> datetime | None:
    """The moment with its offset: in the zone of the schedule, or of this machine."""
    if given is None or given.tzinfo is not None:
        return given
    try:
        return given.replace(tzinfo=ZoneInfo(zone)) if zone else given.astimezone()
    except (ZoneInfoNotFoundError, ValueError):
        return given.astimezone()  # the server says what is wrong with the zone


_moment.__name__ = "time (+2h, 2030-01-31T09:00)"
_object.__name__ = "JSON object"
_time.__name__ = "time (2026-11-20T06:00)"
