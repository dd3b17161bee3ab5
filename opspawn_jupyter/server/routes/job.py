"""The addresses of jupyter-scheduler's contract: its own, outside our prefix."""

from __future__ import annotations

from typing import Any

from opspawn_jupyter.server.handlers import job
from opspawn_jupyter.server.handlers.base import EnvelopeMixin
from opspawn_jupyter.server.route import Area
from opspawn_jupyter.server.service import Service

PREFIX = "scheduler"
_JOB, _DEFINITION = r"(?P<job_id>[\w-]+)", r"(?P<definition_id>[\w-]+)"

_ROUTES: tuple[tuple[str, type[EnvelopeMixin], Area], ...] = (
    ("jobs", job.JobsHandler, Area.TASKS),
    ("jobs/count", job.JobCountHandler, Area.TASKS),
    (f"jobs/{_JOB}", job.JobHandler, Area.TASKS),
    (f"jobs/{_JOB}/download_files", job.JobFilesHandler, Area.TASKS),
    ("batch/jobs", job.JobBatchHandler, Area.TASKS),
    ("job_definitions", job.JobDefinitionsHandler, Area.SCHEDULES),
    (f"job_definitions/{_DEFINITION}", job.JobDefinitionHandler, Area.SCHEDULES),
    (f"job_definitions/{_DEFINITION}/jobs", job.JobDefinitionJobsHandler, Area.SCHEDULES),
    ("runtime_environments", job.RuntimeEnvironmentsHandler, Area.SERVER),
    ("config", job.ConfigHandler, Area.SERVER),
)


def handlers(service: Service) -> list[tuple[str, type[EnvelopeMixin], dict[str, Any]]]:
    """The routes as tornado takes them, relative to the server's base URL."""
    return [
        (f"{PREFIX}/{path}", handler, {"service": service, "area": area.value})
        for path, handler, area in _ROUTES
    ]
