"""What each command of the grammar does; how the answer is shown is the surface's matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opspawn_jupyter.client import outcome
from opspawn_jupyter.client.agent import TAPE_COMMANDS, agent_submission_of, resume_request
from opspawn_jupyter.client.audit import audit_submission
from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.note_commands import notes_answer
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.policy_options import terms_of
from opspawn_jupyter.client.schedule_commands import ScheduleAnswer, schedule_answer
from opspawn_jupyter.client.signature_commands import SIGNATURE_COMMANDS, SignatureAnswer
from opspawn_jupyter.client.step_options import step_submission_of
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.client.task_query import task_query
from opspawn_jupyter.client.tool_commands import TOOL_COMMANDS, ToolAnswer
from opspawn_jupyter.client.workflow_commands import (
    WorkflowAnswer,
    look_at_workflow,
    submit_workflow,
)
from opspawn_jupyter.model.diagnosis import Report
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.lineage import Lineage
from opspawn_jupyter.model.note import Note, NoteList
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.question import Question, QuestionList
from opspawn_jupyter.model.retention import Pruned, PruneRequest
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Submission, TaskPage


@dataclass(frozen=True)
class Log:
    """Text of a log, as it comes."""

    pieces: Iterable[str]


@dataclass(frozen=True)
class Outputs:
    """Outputs of a task that succeeded."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Parameters:
    """What a notebook declares."""

    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Saved:
    """A file that was written."""

    path: Path


@dataclass(frozen=True)
class Audits:
    """Audits that were submitted together."""

    handles: tuple[TaskHandle, ...]


Answer = (
    TaskHandle
    | TaskPage
    | Table
    | Log
    | Outputs
    | Parameters
    | Saved
    | Pruned
    | Report
    | Audits
    | PluginList
    | NoteList
    | Note
    | Question
    | QuestionList
    | ToolAnswer
    | WorkflowAnswer
    | ScheduleAnswer
    | SignatureAnswer
    | Lineage
)


def answer(client: Client, options: Options) -> Answer:
    """Do what the command says. ``run`` only submits. Raises ``OpspawnError``."""
    return _COMMANDS[options.command](client, options)


def submission_of(options: Options, **changes: Any) -> Submission:
    """What ``run`` with these options submits."""
    asked: dict[str, Any] = {
        "notebook": getattr(options, "notebook", None),
        "parameters_text": options.parameters,
        "kernel": options.kernel,
        "working_directory": options.cwd,
        "keep_on_failure": options.keep_on_failure,
        "tools": options.tools,
        "tier": options.tier,
        **terms_of(options),
    }
    return notebook_submission(**{**asked, **changes})


def submitted(client: Client, options: Options) -> TaskHandle:
    """The task that one of the commands ``SUBMITTING`` gives. Raises ``OpspawnError``."""
    if options.command == "workflow":
        return submit_workflow(client, options)
    if options.command == "agent":
        return client.attach(client.submit(agent_submission_of(options, options.goal)))
    if options.command == "step":
        submission = step_submission_of(options, client.server.root_directory)
        return client.attach(client.submit(submission))
    return client.attach(client.submit(submission_of(options)))


def _audit(client: Client, options: Options) -> Audits:
    like = audit_submission(
        "",
        kernel=options.kernel,
        working_directory=options.cwd,
        inputs=options.input,
        reason=options.reason,
        timeout_seconds=options.timeout,
        cell_timeout_seconds=options.cell_timeout,
    )
    return Audits(tuple(client.audits(options.targets, like)))


def _bundle(client: Client, options: Options) -> Saved:
    task = client.task(options.task)
    path = Path(options.output or f"{task.name}_{short(task.id)}.zip").expanduser()
    path.write_bytes(client.bundle(task.id))
    return Saved(path.absolute())


def _lineage(client: Client, options: Options) -> Lineage:
    return client.lineage(options.task)


def _export(client: Client, options: Options) -> Saved:
    path = Path(options.output or f"history-from-{options.since:%Y-%m-%d}.zip").expanduser()
    path.write_bytes(client.export(options.since, options.until))
    return Saved(path.absolute())


def _plugins(client: Client, options: Options) -> PluginList:  # noqa: ARG001 (as all are called)
    return PluginList(plugins=client.plugins())


def _status(client: Client, options: Options) -> TaskHandle:
    return client.find(options.task)


def _tasks(client: Client, options: Options) -> TaskPage:
    return client.tasks(task_query(client, options))


def _logs(client: Client, options: Options) -> Log:
    if options.follow:
        return Log(client.follow_logs(options.task))
    return Log([client.logs(options.task, tail=options.tail)])


def _result(client: Client, options: Options) -> Outputs:
    return Outputs(outcome.outputs(client.task(options.task)))


def _cancel(client: Client, options: Options) -> TaskHandle:
    return client.attach(client.cancel(options.task))


def _retry(client: Client, options: Options) -> TaskHandle:
    return client.attach(client.retry(options.task))


def _questions(client: Client, options: Options) -> QuestionList:
    return client.questions(task=options.task, all=options.all)


def _answer(client: Client, options: Options) -> Question:
    return client.answer(options.question, options.answer, comment=options.comment)


def _tape(client: Client, options: Options) -> TaskHandle:
    return client.attach(client.resume(options.task, resume_request(options)))


def _sql(client: Client, options: Options) -> Table:
    return client.sql(" ".join(options.query))


def _notebook(client: Client, options: Options) -> Saved:
    task = client.task(options.task)
    suffix = "html" if options.html else "ipynb"
    content = client.notebook(task.id, format=suffix)
    name = f"{Path(task.name).stem}_{short(task.id)}.{suffix}".replace("/", "-")
    path = Path(options.output or name).expanduser()
    path.write_bytes(content)
    return Saved(path.absolute())


def _prune(client: Client, options: Options) -> Pruned:
    request = PruneRequest(
        dry_run=options.dry_run,
        older_than_days=options.older_than,
        keep=options.keep,
        max_bytes=options.max_bytes,
        labels=options.labels,
    )
    return client.prune(request)


def _params(client: Client, options: Options) -> Parameters:
    return Parameters(client.parameters(options.notebook))


_COMMANDS: Mapping[str, Callable[[Client, Options], Answer]] = {
    "run": submitted,
    "step": submitted,
    "agent": submitted,
    "audit": _audit,
    "plugins": _plugins,
    "workflow": look_at_workflow,
    "bundle": _bundle,
    **SIGNATURE_COMMANDS,
    "lineage": _lineage,
    "export": _export,
    "status": _status,
    "tasks": _tasks,
    "logs": _logs,
    "result": _result,
    "cancel": _cancel,
    "retry": _retry,
    **dict.fromkeys(TAPE_COMMANDS, _tape),
    "schedule": schedule_answer,
    "questions": _questions,
    "answer": _answer,
    "notes": notes_answer,
    "sql": _sql,
    "notebook": _notebook,
    "params": _params,
    **TOOL_COMMANDS,
    "prune": _prune,
}
