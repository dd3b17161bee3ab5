"""Agents' runs."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.server.handlers.agent import AgentResumeHandler
from opspawn_jupyter.server.route import Area, post, route

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
)
