"""What a magic's words lead to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opspawn_jupyter.client import grammar, outcome
from opspawn_jupyter.client.agent import agent_submission_of
from opspawn_jupyter.client.client import Client, connect
from opspawn_jupyter.client.commands import (
    Answer,
    Audits,
    Log,
    Outputs,
    Parameters,
    Saved,
    answer,
    submission_of,
)
from opspawn_jupyter.client.doctor import examine
from opspawn_jupyter.client.grammar import is_submitting
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.note_commands import NOTE_ANSWERS
from opspawn_jupyter.client.parser import Options, Surface
from opspawn_jupyter.client.render import as_json, as_text
from opspawn_jupyter.client.task_query import task_query
from opspawn_jupyter.client.tool_commands import TOOL_ANSWERS
from opspawn_jupyter.client.workflow_commands import Copied, Drawn, Schema, look_at_workflow
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.model.diagnosis import Report
from opspawn_jupyter.model.lineage import Lineage
from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.question import Question, QuestionList
from opspawn_jupyter.model.retention import Pruned
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList, ScheduleList, ScheduleView
from opspawn_jupyter.model.signature import Signature, SignatureList
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import TaskPage
from opspawn_jupyter.model.tool import ToolResult
from opspawn_jupyter.model.workflow import WorkflowCheck
from opspawn_jupyter.model.workflow_view import Comparison
from opspawn_magics.cell import cell_submission, step_config
from opspawn_magics.display import (
    AuditListing,
    Checks,
    ParameterList,
    QuestionListing,
    TaskList,
    WorkflowGraph,
    rows_of,
)
from opspawn_magics.ipython import display
from opspawn_magics.schedule_display import ScheduleShown
from opspawn_magics.waiting import watch


def perform(words: Sequence[str], cell: str | None) -> Any:
    """Carry out the command; what it gives shows itself in the notebook."""
    options = grammar.parse(words, Surface.LINE if cell is None else Surface.CELL)
    if options is None:
        return None
    if cell is not None and not cell.strip():
        raise UsageError(hint="the cell below %%opspawn is empty")
    if options.command == "doctor":
        return _given(examine(options.server), options)
    client = connect(options.server)
    given = answer(client, options) if cell is None else _answer_to_cell(client, options, cell)
    if isinstance(given, TaskHandle) and is_submitting(options) and options.wait:
        _wait(given)
    if isinstance(given, Audits) and options.wait:
        for handle in given.handles:
            handle.wait()
    if isinstance(given, TaskPage) and not options.json:
        return TaskList(given.tasks, task_query(client, options), client.server)
    return _given(given, options)


def _given(given: Answer, options: Options) -> Any:
    if options.json:
        sys.stdout.write(f"{as_json(given)}\n")
        return None
    return _shown(given)


def _answer_to_cell(client: Client, options: Options, cell: str) -> Answer:
    if options.command == "sql":
        return client.sql(cell)
    if options.command == "step":
        options.config = step_config(cell, options)
        return answer(client, options)
    if options.command == "workflow":
        return look_at_workflow(client, options, cell)
    if options.command == "agent":
        here = options.cwd or str(Path.cwd())
        submission = agent_submission_of(options, cell.strip(), working_directory=here)
        return client.attach(client.submit(submission))
    content, directory = cell_submission(cell, options)
    submission = submission_of(
        options,
        content=content,
        parameters_text={},
        working_directory=directory,
        name=options.name or "cell",
    )
    return client.attach(client.submit(submission))


def _wait(handle: TaskHandle) -> None:
    watch(handle)
    if handle.state is not State.SUCCESS:
        display(handle)
        raise outcome.error_of(handle.task)


def _shown(given: Answer) -> Any:
    return _SHOWN[type(given)](given)


def _audits(audits: Audits) -> Any:
    return audits.handles[0] if len(audits.handles) == 1 else AuditListing(audits.handles)


def _print_log(log: Log) -> None:
    for piece in log.pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()


def _print_text(given: Answer) -> None:
    sys.stdout.write(f"{as_text(given)}\n")


_SHOWN: Mapping[type[Any], Callable[[Any], Any]] = {
    TaskHandle: lambda handle: handle,
    Audits: _audits,
    Drawn: lambda drawn: WorkflowGraph(drawn.view, drawn.format),
    Explanation: _print_text,
    Comparison: _print_text,
    WorkflowCheck: _print_text,
    Schema: lambda given: dict(given.schema),
    Copied: lambda given: given.path,
    Table: rows_of,
    Parameters: lambda declared: ParameterList(declared.parameters),
    Outputs: lambda outputs: dict(outputs.values),
    Saved: lambda saved: saved.path,
    Log: _print_log,
    PluginList: _print_text,
    Question: _print_text,
    Lineage: _print_text,
    Signature: _print_text,
    SignatureList: _print_text,
    **dict.fromkeys(
        (ScheduleView, ScheduleList, FiringList, DueAnswer, Schedule),
        ScheduleShown,
    ),
    QuestionList: lambda listed: QuestionListing(listed.questions),
    Pruned: _print_text,
    **dict.fromkeys((*TOOL_ANSWERS, *NOTE_ANSWERS), _print_text),
    ToolResult: lambda result: result.value,
    Report: Checks,
}
