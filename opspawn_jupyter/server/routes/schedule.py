"""Schedules."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.past_job import PastJob, TakenIn
from opspawn_jupyter.model.schedule import Plan, Schedule, Timing
from opspawn_jupyter.model.schedule_view import (
    Called,
    DueAnswer,
    Edit,
    FiringList,
    Period,
    Preview,
    ScheduleList,
    ScheduleView,
)
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.schedule import (
    PastJobsHandler,
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
from opspawn_jupyter.server.route import Area, Operation, get, post, route

ROUTES = (
    route(
        "schedules",
        SchedulesHandler,
        Area.SCHEDULES,
        post("Make a schedule", Plan, ScheduleView, status=HTTPStatus.CREATED),
        get("List schedules", ScheduleList),
    ),
    route(
        "timings",
        SchedulePreviewHandler,
        Area.SCHEDULES,
        post("What a timing means, in words and times", Timing, Preview),
    ),
    route(
        "past-jobs",
        PastJobsHandler,
        Area.SCHEDULES,
        post(
            "Take another scheduler's past run into the history",
            PastJob,
            TakenIn,
            status=HTTPStatus.CREATED,
        ),
    ),
    route(
        "schedules/{reference}",
        ScheduleHandler,
        Area.SCHEDULES,
        get("One schedule as it stands", ScheduleView, query=schemas.NextQuery),
        Operation(
            method="patch", summary="Change a schedule's plan", body=Edit, answer=ScheduleView
        ),
        Operation(method="delete", summary="End a schedule", answer=Schedule),
    ),
    route(
        "schedules/{reference}/pause",
        SchedulePauseHandler,
        Area.SCHEDULES,
        post("Have a schedule not be due", None, ScheduleView),
    ),
    route(
        "schedules/{reference}/resume",
        ScheduleResumeHandler,
        Area.SCHEDULES,
        post("Have a schedule be due again", None, ScheduleView),
    ),
    route(
        "schedules/{reference}/trigger",
        ScheduleTriggerHandler,
        Area.SCHEDULES,
        post("Submit a schedule's task now", None, Task, status=HTTPStatus.CREATED),
    ),
    route(
        "schedules/{reference}/backfill",
        ScheduleBackfillHandler,
        Area.SCHEDULES,
        post(
            "Submit tasks for a period's due times that have none",
            Period,
            FiringList,
            status=HTTPStatus.CREATED,
        ),
    ),
    route(
        "schedules/{reference}/history",
        ScheduleHistoryHandler,
        Area.SCHEDULES,
        get("What became of due times", FiringList, query=schemas.HistoryQuery),
    ),
    route(
        "schedules/{reference}/why",
        ScheduleWhyHandler,
        Area.SCHEDULES,
        get("What became of one due time", DueAnswer, query=schemas.WhyQuery),
    ),
    route(
        "schedules/{reference}/token",
        ScheduleTokenHandler,
        Area.SCHEDULES,
        post("Make another token for a schedule's webhook", None, ScheduleView),
    ),
    route(
        "schedules/{reference}/webhook",
        ScheduleWebhookHandler,
        Area.SCHEDULES,
        post(
            "Start a schedule with its own token in X-Opspawn-Token",
            None,
            Called,
            status=HTTPStatus.ACCEPTED,
            is_open=True,
        ),
    ),
)
