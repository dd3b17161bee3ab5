"""Agents' runs, and what their loops ask for."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.model.agent_door import Allowance, Child, ChildRequest
from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.server.handlers.agent import (
    AgentAllowanceHandler,
    AgentResumeHandler,
    AgentTaskHandler,
    AgentTasksHandler,
)
from opspawn_jupyter.server.route import Area, get, post, route

ROUTES = (
    route(
        "tasks/{reference}/resume",
        AgentResumeHandler,
        Area.TASKS,
        post(
            "Go on from the tape of an agent's run that has ended, as a new task",
            ResumeRequest,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    route(
        "agents/{reference}/tasks",
        AgentTasksHandler,
        Area.TASKS,
        post("Submit a task for a running agent (its loop only)", ChildRequest, Child),
    ),
    route(
        "agents/{reference}/tasks/{child_id}",
        AgentTaskHandler,
        Area.TASKS,
        get("A task of a running agent (its loop only)", Child),
    ),
    route(
        "agents/{reference}/allowance",
        AgentAllowanceHandler,
        Area.TASKS,
        get("What is left of shared budgets (its loop only)", Allowance, query=Usage),
    ),
)
