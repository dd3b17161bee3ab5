"""Every route on one page. Jupyter's handlers and the OpenAPI document are both made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.question import Answer, Question, QuestionList
from opspawn_jupyter.model.retention import Pruned, PruneRequest
from opspawn_jupyter.model.schedule import (
    Called,
    DueAnswer,
    Edit,
    FiringList,
    Period,
    Plan,
    Preview,
    Schedule,
    ScheduleList,
    ScheduleView,
    Timing,
)
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Submission, Task, TaskPage
from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    ImportRequest,
    PromptList,
    PromptRequest,
    PromptText,
    ResourceContent,
    ResourceList,
    ResourceRequest,
    ToolCallRequest,
    ToolList,
    ToolResult,
    ToolServerList,
)
from opspawn_jupyter.model.work import ReportAnswer, ReportRequest, TakeAnswer, TakeRequest
from opspawn_jupyter.model.workflow import WorkflowCheck, WorkflowRequest
from opspawn_jupyter.model.workflow_view import Comparison, RerunRequest, WorkflowView
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.agent import AgentResumeHandler
from opspawn_jupyter.server.handlers.base import EnvelopeMixin, UnknownRouteHandler
from opspawn_jupyter.server.handlers.bundle import TaskBundleHandler
from opspawn_jupyter.server.handlers.diagnosis import DiagnosisHandler
from opspawn_jupyter.server.handlers.event import EventStreamHandler
from opspawn_jupyter.server.handlers.health import HealthHandler, OpenApiHandler
from opspawn_jupyter.server.handlers.mcp import McpHandler
from opspawn_jupyter.server.handlers.notebook import ParametersHandler
from opspawn_jupyter.server.handlers.plugin import PluginsHandler
from opspawn_jupyter.server.handlers.prune import PruneHandler
from opspawn_jupyter.server.handlers.question import (
    QuestionAnswerHandler,
    QuestionHandler,
    QuestionsHandler,
)
from opspawn_jupyter.server.handlers.run_page import pages
from opspawn_jupyter.server.handlers.schedule import (
    ScheduleBackfillHandler,
    ScheduleHandler,
    ScheduleHistoryHandler,
    SchedulePauseHandler,
    SchedulePreviewHandler,
    ScheduleResumeHandler,
    SchedulesHandler,
    ScheduleTokenHandler,
    ScheduleTriggerHandler,
    ScheduleWebhookHandler,
    ScheduleWhyHandler,
)
from opspawn_jupyter.server.handlers.sql import SqlHandler
from opspawn_jupyter.server.handlers.task import (
    TaskArtifactHandler,
    TaskArtifactsHandler,
    TaskCancelHandler,
    TaskEventsHandler,
    TaskHandler,
    TaskLogsHandler,
    TaskNotebookHandler,
    TaskResultHandler,
    TaskRetryHandler,
    TasksHandler,
)
from opspawn_jupyter.server.handlers.tool import (
    PromptHandler,
    PromptsHandler,
    ResourceHandler,
    ResourcesHandler,
    ToolApprovalHandler,
    ToolCallHandler,
    ToolImportHandler,
    ToolServersHandler,
    ToolsHandler,
)
from opspawn_jupyter.server.handlers.worker import ReportHandler, TakeHandler
from opspawn_jupyter.server.handlers.workflow import (
    WorkflowCheckHandler,
    WorkflowCompareHandler,
    WorkflowExplainHandler,
    WorkflowHandler,
    WorkflowRerunHandler,
    WorkflowSchemaHandler,
)
from opspawn_jupyter.server.service import Service

API = "opspawn/api/v1"
#: Where MCP is spoken; one server's tools alone under its name below it.
MCP = "opspawn/mcp"


class Area(Enum):
    """Who is asked about access: the resource that Jupyter's Authorizer is given, or the door."""

    SERVER = "opspawn_server"
    TASKS = "opspawn_tasks"
    EVENTS = "opspawn_events"
    QUESTIONS = "opspawn_questions"
    TOOLS = "opspawn_tools"
    SCHEDULES = "opspawn_schedules"
    SQL = "opspawn_sql"
    NOTEBOOKS = "opspawn_notebooks"
    #: Not Jupyter's: the workers' own secret opens it.
    WORKERS = "opspawn_workers"


class Content(Enum):
    """Answers that are not one JSON record."""

    DOCUMENT = "application/json"
    NOTEBOOK = "application/x-ipynb+json"
    FILE = "application/octet-stream"
    MESSAGES = "websocket"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of a route."""

    method: str
    summary: str
    answer: type[Any] | Content
    status: HTTPStatus = HTTPStatus.OK
    body: type[Any] | None = None
    query: type[Any] | None = None
    #: Anonymous callers are answered.
    is_open: bool = False


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address. ``{name}`` stands for a segment of the path, ``{+name}`` for all the rest."""

    path: str
    handler: type[EnvelopeMixin]
    area: Area
    operations: tuple[Operation, ...]

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        rest = re.sub(r"\{\+(\w+)\}", r"(?P<\1>.+)", self.path.replace(".", r"\."))
        return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", rest)


def _get(summary: str, answer: type[Any] | Content, **more: Any) -> Operation:
    return Operation(method="get", summary=summary, answer=answer, **more)


def _post(summary: str, body: type[Any] | None, answer: type[Any], **more: Any) -> Operation:
    return Operation(method="post", summary=summary, body=body, answer=answer, **more)


def _route(path: str, handler: type[EnvelopeMixin], area: Area, *operations: Operation) -> Route:
    return Route(path=path, handler=handler, area=area, operations=operations)


WORKFLOW_ROUTES = (
    _route(
        "workflow-check",
        WorkflowCheckHandler,
        Area.TASKS,
        _post("What is wrong with a workflow, before it runs", WorkflowRequest, WorkflowCheck),
    ),
    _route(
        "workflow-schema.json",
        WorkflowSchemaHandler,
        Area.TASKS,
        _get("JSON Schema of a workflow's file", Content.DOCUMENT),
    ),
    _route(
        "workflows/{reference}",
        WorkflowHandler,
        Area.TASKS,
        _get("A run of a workflow with its steps", WorkflowView),
    ),
    _route(
        "workflows/{reference}/explain",
        WorkflowExplainHandler,
        Area.TASKS,
        _get("Why each step ran, or did not have to", Explanation),
    ),
    _route(
        "workflows/{reference}/rerun",
        WorkflowRerunHandler,
        Area.TASKS,
        _post(
            "Do a run again, or what of it did not succeed, as a new task",
            RerunRequest,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    _route(
        "workflows/{reference}/compare/{other}",
        WorkflowCompareHandler,
        Area.TASKS,
        _get("What a second run did differently", Comparison),
    ),
)

ROUTES = (
    _route(
        "health",
        HealthHandler,
        Area.SERVER,
        _get("Whether tasks can be submitted", Health, is_open=True),
    ),
    _route(
        "diagnosis",
        DiagnosisHandler,
        Area.SERVER,
        _get("What the server knows of itself", Diagnosis),
    ),
    _route(
        "prune",
        PruneHandler,
        Area.TASKS,
        _post("Remove run directories of finished tasks", PruneRequest, Pruned),
    ),
    _route("openapi.json", OpenApiHandler, Area.SERVER, _get("This description", Content.DOCUMENT)),
    _route(
        "tasks",
        TasksHandler,
        Area.TASKS,
        _post("Submit a task", Submission, Task, status=HTTPStatus.CREATED),
        _get("List tasks", TaskPage, query=schemas.TaskListQuery),
    ),
    _route("tasks/{reference}", TaskHandler, Area.TASKS, _get("One task as it stands", Task)),
    _route(
        "tasks/{reference}/cancel",
        TaskCancelHandler,
        Area.TASKS,
        _post("Cancel a task", None, Task, status=HTTPStatus.ACCEPTED),
    ),
    _route(
        "tasks/{reference}/retry",
        TaskRetryHandler,
        Area.TASKS,
        _post(
            "Try a task again that ended without success, as a new task",
            None,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    _route(
        "tasks/{reference}/resume",
        AgentResumeHandler,
        Area.TASKS,
        _post(
            "Go on from the tape of an agent's run that has ended, as a new task",
            ResumeRequest,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    _route(
        "tasks/{reference}/result",
        TaskResultHandler,
        Area.TASKS,
        _get("Outputs or error of a finished task", schemas.TaskResult),
    ),
    _route(
        "tasks/{reference}/logs",
        TaskLogsHandler,
        Area.TASKS,
        _get("Part of the run's log", schemas.LogSlice, query=schemas.LogQuery),
    ),
    _route(
        "tasks/{reference}/events",
        TaskEventsHandler,
        Area.TASKS,
        _get("History of a task", schemas.EventList, query=schemas.EventQuery),
    ),
    _route(
        "tasks/{reference}/artifacts",
        TaskArtifactsHandler,
        Area.TASKS,
        _get("Names of the files that the task left", schemas.ArtifactList),
    ),
    _route(
        "tasks/{reference}/artifacts/{+path}",
        TaskArtifactHandler,
        Area.TASKS,
        _get("A file that the task left", Content.FILE),
    ),
    _route(
        "tasks/{reference}/notebook",
        TaskNotebookHandler,
        Area.TASKS,
        _get("The executed notebook", Content.NOTEBOOK, query=schemas.NotebookQuery),
    ),
    _route(
        "questions",
        QuestionsHandler,
        Area.QUESTIONS,
        _get("What waits for a person", QuestionList, query=schemas.QuestionQuery),
    ),
    _route(
        "questions/{reference}",
        QuestionHandler,
        Area.QUESTIONS,
        _get("One question as it stands", Question),
    ),
    _route(
        "questions/{reference}/answer",
        QuestionAnswerHandler,
        Area.QUESTIONS,
        _post("Answer a question", Answer, Question),
    ),
    _route(
        "mcp/servers",
        ToolServersHandler,
        Area.TOOLS,
        _get("Configured MCP servers", ToolServerList),
    ),
    _route(
        "mcp/approvals",
        ToolApprovalHandler,
        Area.TOOLS,
        _post("Approve a server's command or a changed tool", ApprovalRequest, ToolServerList),
    ),
    _route(
        "mcp/imports",
        ToolImportHandler,
        Area.TOOLS,
        _post("Take over the servers of another program's file", ImportRequest, ToolServerList),
    ),
    _route(
        "mcp/tools",
        ToolsHandler,
        Area.TOOLS,
        _get("Tools of MCP servers", ToolList, query=schemas.ToolQuery),
    ),
    _route(
        "mcp/call",
        ToolCallHandler,
        Area.TOOLS,
        _post("Call a tool", ToolCallRequest, ToolResult),
    ),
    _route(
        "mcp/resources",
        ResourcesHandler,
        Area.TOOLS,
        _get("What MCP servers let read", ResourceList, query=schemas.ToolQuery),
    ),
    _route(
        "mcp/resource",
        ResourceHandler,
        Area.TOOLS,
        _post("Read a resource", ResourceRequest, ResourceContent),
    ),
    _route(
        "mcp/prompts",
        PromptsHandler,
        Area.TOOLS,
        _get("Prompts of MCP servers", PromptList, query=schemas.ToolQuery),
    ),
    _route(
        "mcp/prompt",
        PromptHandler,
        Area.TOOLS,
        _post("Have a prompt written", PromptRequest, PromptText),
    ),
    _route(
        "schedules",
        SchedulesHandler,
        Area.SCHEDULES,
        _post("Make a schedule", Plan, ScheduleView, status=HTTPStatus.CREATED),
        _get("List schedules", ScheduleList),
    ),
    _route(
        "timings",
        SchedulePreviewHandler,
        Area.SCHEDULES,
        _post("What a timing means, in words and times", Timing, Preview),
    ),
    _route(
        "schedules/{reference}",
        ScheduleHandler,
        Area.SCHEDULES,
        _get("One schedule as it stands", ScheduleView, query=schemas.NextQuery),
        Operation(
            method="patch", summary="Change a schedule's plan", body=Edit, answer=ScheduleView
        ),
        Operation(method="delete", summary="End a schedule", answer=Schedule),
    ),
    _route(
        "schedules/{reference}/pause",
        SchedulePauseHandler,
        Area.SCHEDULES,
        _post("Have a schedule not be due", None, ScheduleView),
    ),
    _route(
        "schedules/{reference}/resume",
        ScheduleResumeHandler,
        Area.SCHEDULES,
        _post("Have a schedule be due again", None, ScheduleView),
    ),
    _route(
        "schedules/{reference}/trigger",
        ScheduleTriggerHandler,
        Area.SCHEDULES,
        _post("Submit a schedule's task now", None, Task, status=HTTPStatus.CREATED),
    ),
    _route(
        "schedules/{reference}/backfill",
        ScheduleBackfillHandler,
        Area.SCHEDULES,
        _post(
            "Submit tasks for a period's due times that have none",
            Period,
            FiringList,
            status=HTTPStatus.CREATED,
        ),
    ),
    _route(
        "schedules/{reference}/history",
        ScheduleHistoryHandler,
        Area.SCHEDULES,
        _get("What became of due times", FiringList, query=schemas.HistoryQuery),
    ),
    _route(
        "schedules/{reference}/why",
        ScheduleWhyHandler,
        Area.SCHEDULES,
        _get("What became of one due time", DueAnswer, query=schemas.WhyQuery),
    ),
    _route(
        "schedules/{reference}/token",
        ScheduleTokenHandler,
        Area.SCHEDULES,
        _post("Make another token for a schedule's webhook", None, ScheduleView),
    ),
    _route(
        "schedules/{reference}/webhook",
        ScheduleWebhookHandler,
        Area.SCHEDULES,
        _post(
            "Start a schedule with its own token in X-Opspawn-Token",
            None,
            Called,
            status=HTTPStatus.ACCEPTED,
            is_open=True,
        ),
    ),
    _route(
        "tasks/{reference}/bundle",
        TaskBundleHandler,
        Area.TASKS,
        _get("The sealed evidence of an audit, as a zip file", Content.FILE),
    ),
    _route(
        "notebooks/parameters",
        ParametersHandler,
        Area.NOTEBOOKS,
        _get("What a notebook declares", schemas.ParameterList, query=schemas.PathQuery),
    ),
    _route(
        "plugins",
        PluginsHandler,
        Area.TASKS,
        _get("Kinds of steps that plugins add", PluginList),
    ),
    *WORKFLOW_ROUTES,
    _route("sql", SqlHandler, Area.SQL, _post("Read-only SQL", schemas.SqlRequest, Table)),
    _route(
        "events/stream",
        EventStreamHandler,
        Area.EVENTS,
        _get("A websocket of events", Content.MESSAGES, query=schemas.StreamQuery),
    ),
    _route(
        "workers/{worker_id}/take",
        TakeHandler,
        Area.WORKERS,
        _post("Wait for work", TakeRequest, TakeAnswer),
    ),
    _route(
        "workers/{worker_id}/reports",
        ReportHandler,
        Area.WORKERS,
        _post("Report what happened", ReportRequest, ReportAnswer),
    ),
)


def handlers(service: Service) -> list[tuple[str, type[EnvelopeMixin], dict[str, Any]]]:
    """The routes as tornado takes them, relative to the server's base URL."""
    known = [
        (f"{API}/{route.pattern}", route.handler, {"service": service, "area": route.area.value})
        for route in ROUTES
    ]
    spoken = {"service": service, "area": Area.TOOLS.value}
    mcp = (f"{MCP}(?:/(?P<only>[^/]+))?/?", McpHandler, spoken)
    unknown = {"service": service, "area": Area.SERVER.value}
    return [*pages(service), *known, mcp, (f"{API}(?:/.*)?", UnknownRouteHandler, unknown)]
