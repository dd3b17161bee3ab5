"""The answer to a command as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from opspawn_jupyter.client import (
    audit_text,
    lineage_text,
    plugin_text,
    question_text,
    schedule_text,
    signature_commands,
    task_text,
    text,
    tool_text,
    workflow_text,
)
from opspawn_jupyter.client.commands import Answer, Audits, Log, Outputs, Parameters, Saved
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.note_commands import NOTE_ANSWERS, note_text
from opspawn_jupyter.client.tool_commands import TOOL_ANSWERS
from opspawn_jupyter.client.workflow_commands import Copied, Drawn, Schema
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.diagnosis import Report
from opspawn_jupyter.model.lineage import Lineage
from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.question import Question, QuestionList
from opspawn_jupyter.model.retention import Pruned
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList, ScheduleList, ScheduleView
from opspawn_jupyter.model.signature import Signature, SignatureList
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import TaskPage
from opspawn_jupyter.model.workflow import WorkflowCheck
from opspawn_jupyter.model.workflow_view import Comparison


def as_text(answer: Answer) -> str:
    """For people."""
    return _TEXTS[type(answer)](answer)


def as_json(answer: Answer) -> str:
    """For programs, on one line: the record as the API gives it."""
    return wire.to_json(_RECORDS[type(answer)](answer))


def _audits_text(audits: Audits) -> str:
    if len(audits.handles) == 1:
        handle = audits.handles[0]
        return task_text.task_card(handle.task, handle.run_directory)
    return audit_text.audit_list([handle.task for handle in audits.handles])


def _drawn(drawn: Drawn) -> str:
    draw = workflow_text.mermaid if drawn.format == "mermaid" else workflow_text.workflow_text
    return draw(drawn.view)


_TEXTS: Mapping[type[Any], Callable[[Any], str]] = {
    TaskHandle: lambda handle: task_text.task_card(handle.task, handle.run_directory),
    TaskPage: task_text.page_text,
    Audits: _audits_text,
    Table: text.table_text,
    Parameters: lambda declared: text.parameter_list(declared.parameters),
    Outputs: lambda outputs: text.outputs_text(outputs.values),
    Saved: lambda saved: str(saved.path),
    Log: lambda log: "".join(log.pieces),
    Pruned: text.pruned_text,
    Report: text.report,
    PluginList: lambda listed: plugin_text.plugin_list(listed.plugins),
    Drawn: _drawn,
    Explanation: workflow_text.explanation_text,
    Comparison: workflow_text.comparison_text,
    WorkflowCheck: workflow_text.check_text,
    Schema: lambda given: json.dumps(given.schema, indent=1),
    Copied: lambda given: str(given.path),
    Question: question_text.question_card,
    QuestionList: lambda listed: question_text.question_list(listed.questions),
    Lineage: lineage_text.lineage_text,
    Signature: signature_commands.signature_text,
    SignatureList: signature_commands.signature_list,
    **dict.fromkeys(NOTE_ANSWERS, note_text),
    **dict.fromkeys(TOOL_ANSWERS, tool_text.as_text),
    ScheduleView: schedule_text.schedule_card,
    ScheduleList: lambda listed: schedule_text.schedule_list(listed.schedules),
    FiringList: schedule_text.firing_list,
    DueAnswer: schedule_text.due_answer,
    Schedule: schedule_text.deleted,
}

_RECORDS: Mapping[type[Any], Callable[[Any], Any]] = {
    TaskHandle: lambda handle: wire.encode(handle.task),
    TaskPage: wire.encode,
    Audits: lambda audits: {"tasks": [wire.encode(handle.task) for handle in audits.handles]},
    Table: wire.encode,
    Pruned: wire.encode,
    PluginList: wire.encode,
    Drawn: lambda drawn: wire.encode(drawn.view),
    Explanation: wire.encode,
    Comparison: wire.encode,
    WorkflowCheck: wire.encode,
    Schema: lambda given: given.schema,
    Copied: lambda given: {"path": str(given.path)},
    Question: wire.encode,
    QuestionList: wire.encode,
    Lineage: wire.encode,
    Signature: wire.encode,
    SignatureList: wire.encode,
    **dict.fromkeys(NOTE_ANSWERS, wire.encode),
    **dict.fromkeys(TOOL_ANSWERS, wire.encode),
    ScheduleView: wire.encode,
    ScheduleList: wire.encode,
    FiringList: wire.encode,
    DueAnswer: wire.encode,
    Schedule: wire.encode,
    Report: lambda report: {**wire.encode(report), "verdict": report.verdict.value},
    Parameters: lambda declared: {"parameters": wire.encode(declared.parameters)},
    Outputs: lambda outputs: wire.encode(outputs.values),
    Saved: lambda saved: {"path": str(saved.path)},
    Log: lambda log: {"text": "".join(log.pieces)},
}
