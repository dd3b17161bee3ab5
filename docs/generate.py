"""Writes those parts of the documentation that the code already says.

A page holds them between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; the rest of the page
is written by hand. ``python docs/generate.py`` rewrites the parts; a test compares them, so that
a page which no longer tells the truth fails.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from opspawn_jupyter.client import grammar
from opspawn_jupyter.client.parser import Surface
from opspawn_jupyter.errors import OpspawnError, TaskError, tree
from opspawn_jupyter.model.states import FINAL, TRANSITIONS, EventType, State
from opspawn_jupyter.server.envelope import status_of
from opspawn_jupyter.server.extension import OpspawnExtension
from opspawn_jupyter.server.route import Area, Content, Operation, Route
from opspawn_jupyter.server.routing import API, ROUTES

DOCS = Path(__file__).resolve().parent
_MARKED = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)

#: What the layers of the import contract are for, from the top.
LAYERS = ("roots", "verbs", "adapters", "plugins", "tools", "seams", "words", "ground")

#: What each event carries in ``data``.
EVENT_DATA: Mapping[EventType, str] = {
    EventType.SUBMITTED: "`kind`, `name`, `spec`, `policy`, `labels`, `run_directory`, "
    "`submitted_by`, `idempotency_key`, `on_success`, `on_failure`, `pinned`, `retry_of`, "
    "`parent_id`, `step`",
    EventType.QUEUED: "",
    EventType.STARTED: "`worker`; of a step in the tier `pool` also `kernel`, `pid` and `tier`",
    EventType.RETRYING: "`outcome` of the attempt, its `error`, and `retry_at`",
    EventType.WAITING: "`question`: its id; from a worker also `asked`, the question",
    EventType.CANCEL_REQUESTED: "`by`",
    EventType.SUCCEEDED: "of a step in the tier `pool`: `cells`, each with what became of it, and "
    "`outputs`, for which there are no events of their own",
    EventType.FAILED: "`error`; likewise",
    EventType.TIMED_OUT: "`error`",
    EventType.CRASHED: "`error`",
    EventType.CANCELLED: "`error`",
    EventType.WITHDRAWN: "`error`",
    EventType.SKIPPED: "`error`: its message is the reason",
    EventType.REUSED: "`task_id` of the earlier task, and its `outputs`",
    EventType.PRUNED: "`reason`, `by`, `size_bytes`, `files`: SHA-256 by path",
    EventType.KERNEL_STARTED: "`name`, `pid`, `tier`, `tier_reason` where it was not forked",
    EventType.KERNEL_KEPT: "`id`, `connection_file`, `expires_at`, `kernel_name`, `pid`",
    EventType.CELLS_PLANNED: "`cells`: `index`, `id` and `title` of each code cell",
    EventType.CELL_ADDED: "`index`, `id` and `title` of the code cell",
    EventType.CELL_STARTED: "`index`",
    EventType.CELL_OUTPUT: "`index`, `output_number`, and `output` (as in the notebook format, "
    "with its `display_id` or, to replace that display, `update`) or `clear`",
    EventType.CELL_FINISHED: "`index`, `state`, `duration_seconds`, `execution_count`",
    EventType.STEP_OUTPUT: "`name`, `value`",
    EventType.STEP_PROGRESS: "`fraction`, `text`",
    EventType.STEP_LOG: "`text`",
    EventType.MODEL_REPLIED: "`model`, `requests`, `input_tokens`, `output_tokens`, `cost` in "
    "dollars (nothing where the price is not known), `tool_calls`",
    EventType.AGENT_CALLED: "`tool`, `has_failed`, `tool_calls` (1)",
    EventType.QUESTION_ASKED: "a change of a record: `id`, `version`, `content`, `is_open`, `key`",
    EventType.QUESTION_ANSWERED: "likewise",
    EventType.QUESTION_WITHDRAWN: "likewise",
    EventType.SIGNATURE_GIVEN: "likewise; `content` is the signature",
    EventType.TOOL_CALLED: "likewise; `content` is the call: who, which tool, outcome, duration, "
    "digest of the arguments",
    EventType.NOTE_WRITTEN: "likewise; `content` is the note",
    EventType.NOTE_FORGOTTEN: "likewise",
    EventType.SCHEDULE_CREATED: "likewise; `content` is the schedule",
    EventType.SCHEDULE_EDITED: "likewise",
    EventType.SCHEDULE_PAUSED: "likewise",
    EventType.SCHEDULE_RESUMED: "likewise",
    EventType.SCHEDULE_ADVANCED: "likewise",
    EventType.SCHEDULE_REWOUND: "likewise",
    EventType.SCHEDULE_DELETED: "likewise",
    EventType.FIRING_SUBMITTED: "likewise; `content` is the firing, with its task",
    EventType.FIRING_PASSED: "likewise; `content` is the firing, with its reason",
}


def main() -> None:
    """Rewrite every page that is out of date."""
    for page in pages():
        text = page.read_text()
        current = regenerate(text)
        if current != text:
            page.write_text(current)
            print(f"wrote {page.relative_to(DOCS.parent)}")


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def regenerate(text: str) -> str:
    """The page with its generated parts as the code has them now."""
    return _MARKED.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", text)


def state_diagram() -> str:
    """The state machine as a Mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.PENDING}: task.submitted"]
    lines += [
        f"    {source} --> {transition.target}: {event}"
        for event, transition in TRANSITIONS.items()
        for source in _in_order(transition.sources)
    ]
    lines += [f"    {state} --> [*]" for state in _in_order(FINAL)]
    return "\n".join([*lines, "```"])


def transition_table() -> str:
    """The transitions as a table."""
    rows = [
        (f"`{event}`", _listed(_in_order(transition.sources)), f"`{transition.target}`")
        for event, transition in TRANSITIONS.items()
    ]
    return _table(("event", "from", "to"), [("`task.submitted`", "", "`pending`"), *rows])


def layer_picture() -> str:
    """The layers, top to bottom, as the import contract lists them."""
    layers = [
        [_short(module) for module in layer.split(" | ") if not module.startswith("(")]
        for layer in _contract("layers")["layers"]
    ]
    rows = [f" {role:<10}{'   '.join(layer)}" for role, layer in zip(LAYERS, layers, strict=True)]
    picture = f"\n{'':11}↓ imports\n".join(rows)
    return f"```text\n{picture}\n```"


def kernel_side() -> str:
    """What the kernel side is, and what it must not import."""
    contract = _contract("forbidden")
    return _table(
        ("kernel side", "never imports"),
        [(_listed(contract["source_modules"]), _listed(contract["forbidden_modules"]))],
    )


def error_table() -> str:
    """Every error: its code, its class, the HTTP status, and its sentence."""
    rows = [
        (f"`{cls.code}`", f"`{cls.__name__}`", _status(cls), cls().message)
        for cls in tree()
        if cls is not OpspawnError
    ]
    internal = OpspawnError()
    return _table(
        ("code", "class", "status", "message"),
        [*rows, (f"`{internal.code}`", "`OpspawnError`", "500", internal.message)],
    )


def event_table() -> str:
    """Every event type: what it carries, and whether it is kept."""
    rows = [
        (f"`{type}`", EVENT_DATA[type], "yes" if type.is_durable else "no") for type in EventType
    ]
    return _table(("type", "data", "durable"), rows)


def settings_table() -> str:
    """Every setting: trait, environment variable, default, and what it is for."""
    rows = [
        (f"`{name}`", f"`OPSPAWN_{name.upper()}`", _default(name, trait.default_value), trait.help)
        for name, trait in OpspawnExtension.class_own_traits(config=True).items()
    ]
    return _table(("setting", "environment", "default", "meaning"), sorted(rows))


def rest_table() -> str:
    """Every route, from the same table that the server and its OpenAPI document are made from."""
    rows = [
        _rest_row(route, operation)
        for route in ROUTES
        for operation in route.operations
        if route.area is not Area.WORKERS
    ]
    return _table(("method", "path", "gives", "success", "authorised as"), rows)


def command_reference() -> str:
    """Every command with its options, from the one grammar of cell and shell."""
    return "\n\n".join(_command(name) for name in grammar.command_names(Surface.SHELL))


def _command(name: str) -> str:
    parser = grammar.parser_of(name, Surface.SHELL)
    verbs = [action for action in parser._actions if _is_verbs(action)]  # noqa: SLF001 (the same)
    inner = [
        _arguments(f"#### {name} {verb}", of)
        for action in verbs
        for verb, of in dict(action.choices or {}).items()
    ]
    return "\n\n".join([_arguments(f"### {name}", parser), *inner])


def _arguments(heading: str, parser: argparse.ArgumentParser) -> str:
    rows = [row for action in parser._actions for row in _argument(action)]  # noqa: SLF001 (the same)
    return f"{heading}\n\n{parser.description}\n\n{_table(('argument', 'meaning'), rows)}"


def _is_verbs(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 (the same)


def _argument(action: argparse.Action) -> Iterator[tuple[str, str]]:
    if isinstance(action, argparse._HelpAction):  # noqa: SLF001 (argparse offers no other name)
        return
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    takes_value = action.nargs != 0
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{value}`"
    shown = f"{names} `{value}`" if action.option_strings and takes_value else names
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    yield shown, (action.help or "").replace("%(choices)s", choices) or choices


def _rest_row(route: Route, operation: Operation) -> tuple[str, ...]:
    access = "open to all" if operation.is_open else f"`{route.area.value}`"
    is_stream = operation.answer is Content.MESSAGES
    method, status = ("WS", "101") if is_stream else (operation.method.upper(), operation.status)
    path = f"`/{API}/{route.path}`".replace("{+", "{")
    return method, path, operation.summary, str(int(status)), access


def _status(cls: type[OpspawnError]) -> str:
    # What became of a task is an answer, never the failure of a request.
    return "" if issubclass(cls, TaskError) else str(status_of(cls()).value)


def _default(name: str, value: object) -> str:
    if name == "max_running_tasks":
        return "processors, at least 4"  # not those of the machine that wrote this page
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _contract(type: str) -> dict[str, list[str]]:
    configuration = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    contracts = configuration["tool"]["importlinter"]["contracts"]
    found: dict[str, list[str]] = next(one for one in contracts if one["type"] == type)
    return found


def _in_order(states: Iterable[State]) -> list[State]:
    return sorted(states, key=list(State).index)


def _short(module: str) -> str:
    return module.removeprefix("opspawn_jupyter.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


PARTS: Mapping[str, Callable[[], str]] = {
    "state-diagram": state_diagram,
    "transition-table": transition_table,
    "layer-picture": layer_picture,
    "kernel-side": kernel_side,
    "error-table": error_table,
    "event-table": event_table,
    "settings-table": settings_table,
    "rest-table": rest_table,
    "command-reference": command_reference,
}

if __name__ == "__main__":
    main()
