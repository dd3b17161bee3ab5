"""Tasks: submitted, looked at, cancelled, tried again."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.retention import Pruned, PruneRequest
from opspawn_jupyter.model.task import Submission, Task, TaskPage
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.prune import PruneHandler
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
from opspawn_jupyter.server.route import Area, Content, get, post, route

ROUTES = (
    route(
        "tasks",
        TasksHandler,
        Area.TASKS,
        post("Submit a task", Submission, Task, status=HTTPStatus.CREATED),
        get("List tasks", TaskPage, query=schemas.TaskListQuery),
    ),
    route("tasks/{reference}", TaskHandler, Area.TASKS, get("One task as it stands", Task)),
    route(
        "tasks/{reference}/cancel",
        TaskCancelHandler,
        Area.TASKS,
        post("Cancel a task", None, Task, status=HTTPStatus.ACCEPTED),
    ),
    route(
        "tasks/{reference}/retry",
        TaskRetryHandler,
        Area.TASKS,
        post(
            "Try a task again that ended without success, as a new task",
            None,
            Task,
            status=HTTPStatus.CREATED,
        ),
    ),
    route(
        "tasks/{reference}/result",
        TaskResultHandler,
        Area.TASKS,
        get("Outputs or error of a finished task", schemas.TaskResult),
    ),
    route(
        "tasks/{reference}/logs",
        TaskLogsHandler,
        Area.TASKS,
        get("Part of the run's log", schemas.LogSlice, query=schemas.LogQuery),
    ),
    route(
        "tasks/{reference}/events",
        TaskEventsHandler,
        Area.TASKS,
        get("History of a task", schemas.EventList, query=schemas.EventQuery),
    ),
    route(
        "tasks/{reference}/artifacts",
        TaskArtifactsHandler,
        Area.TASKS,
        get("Names of the files that the task left", schemas.ArtifactList),
    ),
    route(
        "tasks/{reference}/artifacts/{+path}",
        TaskArtifactHandler,
        Area.TASKS,
        get("A file that the task left", Content.FILE),
    ),
    route(
        "tasks/{reference}/notebook",
        TaskNotebookHandler,
        Area.TASKS,
        get("The executed notebook", Content.NOTEBOOK, query=schemas.NotebookQuery),
    ),
    route(
        "prune",
        PruneHandler,
        Area.TASKS,
        post("Remove run directories of finished tasks", PruneRequest, Pruned),
    ),
)
