"""Workflows, and the kinds of their steps."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.workflow import WorkflowCheck, WorkflowRequest
from opspawn_jupyter.model.workflow_view import Comparison, RerunRequest, WorkflowView
from opspawn_jupyter.server.handlers.plugin import PluginsHandler
from opspawn_jupyter.server.handlers.workflow import (
    WorkflowCheckHandler,
    WorkflowCompareHandler,
    WorkflowExplainHandler,
    WorkflowHandler,
    WorkflowRerunHandler,
    WorkflowSchemaHandler,
)
from opspawn_jupyter.server.route import Area, Content, get, post, route

ROUTES = (
    route(
        "plugins",
        PluginsHandler,
        Area.TASKS,
        get("Kinds of steps that plugins add", PluginList),
    ),
    route(
        "workflow-check",
        WorkflowCheckHandler,
        Area.TASKS,
        post("What is wrong with a workflow, before it runs", WorkflowRequest, WorkflowCheck),
    ),
    route(
        "workflow-schema.json",
        WorkflowSchemaHandler,
        Area.TASKS,
        get("JSON Schema of a workflow's file", Content.DOCUMENT),
    ),
    route(
        "workflows/{reference}",
        WorkflowHandler,
        Area.TASKS,
        get("A run of a workflow with its steps", WorkflowView),
    ),
    route(
        "workflows/{reference}/explain",
        WorkflowExplainHandler,
        Area.TASKS,
        get("Why each step ran, or did not have to", Explanation),
    ),
    route(
        "workflows/{reference}/rerun",
        WorkflowRerunHandler,
        Area.TASKS,
        post(
            "Do a run again, or what of it did not succeed, as a new task",
            RerunRequest,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    route(
        "workflows/{reference}/compare/{other}",
        WorkflowCompareHandler,
        Area.TASKS,
        get("What a second run did differently", Comparison),
    ),
)
