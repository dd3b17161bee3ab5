"""The REST contract of jupyter-scheduler under ``scheduler/``, so that its JupyterLab UI and its
clients work on our engine unchanged. Where its own server answers 500 for what a caller did wrong,
this one answers 404, 409 or 422.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.model import wire
from opspawn_jupyter.model.job import (
    CreateJob,
    CreateJobDefinition,
    CreateJobFromDefinition,
    JobQuery,
    JobStatus,
    RuntimeEnvironment,
    UpdateJob,
    UpdateJobDefinition,
)
from opspawn_jupyter.orchestrator import job as verbs
from opspawn_jupyter.orchestrator import job_definition
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.job_pages import describe, job_list, make_files, status_of

#: What its UI offers, by the names of its ``JobFeature``.
_FEATURES = {
    "job_name": True,
    "parameters": True,
    "output_formats": True,
    "job_definition": True,
    "idempotency_token": True,
    "tags": True,
    "email_notifications": False,
    "timeout_seconds": False,
    "retry_on_timeout": False,
    "max_retries": False,
    "min_retry_interval_millis": False,
    "output_filename_template": False,
    "stop_job": True,
    "delete_job": True,
}


class JobApiHandler(ApiHandler):
    """What the contract's routes share."""

    def job_query(self) -> JobQuery:
        """The query of a list; a status may be written small."""
        arguments = self.request.query_arguments
        if "status" in arguments:
            arguments["status"] = [value.upper() for value in arguments["status"]]
        return self.query(JobQuery)

    async def done(self) -> None:
        """Answer that there is nothing more to say."""
        self.set_status(HTTPStatus.NO_CONTENT)
        await self.finish()


class JobsHandler(JobApiHandler):
    """All jobs."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        o = await self.orchestration()
        await self.answer(_lean(await job_list(o, self.job_query())))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Run a notebook."""
        o = await self.orchestration()
        task = await verbs.create_job(o, await self.body(CreateJob), self.caller)
        await self.answer({"job_id": task.id})


class JobCountHandler(JobApiHandler):
    """How many jobs there are."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Count those of a status; those in progress where none is given."""
        o, query = await self.orchestration(), self.job_query()
        status = query.status or JobStatus.IN_PROGRESS
        found = await verbs.jobs(o)
        await self.answer({"count": sum(status_of(task) is status for task in found)})


class JobHandler(JobApiHandler):
    """One job."""

    @web.authenticated
    @authorized
    async def get(self, job_id: str) -> None:
        """Give it as it stands."""
        o = await self.orchestration()
        task = await verbs.find_job(o, job_id)
        root = o.settings.root_directory
        await self.answer(await asyncio.to_thread(describe, root, task))

    @web.authenticated
    @authorized
    async def patch(self, job_id: str) -> None:
        """Stop it."""
        o = await self.orchestration()
        await verbs.update_job(o, job_id, await self.body(UpdateJob), self.caller)
        await self.done()

    @web.authenticated
    @authorized
    async def delete(self, job_id: str) -> None:
        """Remove its files."""
        await verbs.delete_job(await self.orchestration(), job_id, self.caller)
        await self.done()


class JobFilesHandler(JobApiHandler):
    """The files of a job."""

    @web.authenticated
    @authorized
    async def get(self, job_id: str) -> None:
        """Have them where the job says that they are; done when this is answered."""
        o = await self.orchestration()
        task = await verbs.find_job(o, job_id)
        await make_files(o, self.service.html_export, task)
        await self.done()


class JobBatchHandler(JobApiHandler):
    """Several jobs."""

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Remove their files; all are looked for before any is touched."""
        o = await self.orchestration()
        job_ids = self.get_query_arguments("job_id")
        for job_id in job_ids:
            await verbs.find_job(o, job_id)
        for job_id in dict.fromkeys(job_ids):
            await verbs.delete_job(o, job_id, self.caller)
        await self.done()


class JobDefinitionsHandler(JobApiHandler):
    """All job definitions."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        o = await self.orchestration()
        await self.answer(_lean(await job_definition.definitions(o, self.job_query())))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one."""
        o = await self.orchestration()
        asked = await self.body(CreateJobDefinition)
        made = await job_definition.create_definition(o, asked, self.caller)
        await self.answer({"job_definition_id": made})


class JobDefinitionHandler(JobApiHandler):
    """One job definition."""

    @web.authenticated
    @authorized
    async def get(self, definition_id: str) -> None:
        """Give it as it stands."""
        found = await job_definition.find_definition(await self.orchestration(), definition_id)
        await self.answer(job_definition.describe_definition(found))

    @web.authenticated
    @authorized
    async def patch(self, definition_id: str) -> None:
        """Change, pause or resume it."""
        o, asked = await self.orchestration(), await self.body(UpdateJobDefinition)
        await job_definition.update_definition(o, definition_id, asked, self.caller)
        await self.done()

    @web.authenticated
    @authorized
    async def delete(self, definition_id: str) -> None:
        """End it."""
        await job_definition.delete_definition(await self.orchestration(), definition_id)
        await self.done()


class JobDefinitionJobsHandler(JobApiHandler):
    """Runs of a job definition."""

    @web.authenticated
    @authorized
    async def post(self, definition_id: str) -> None:
        """Run it now."""
        o, asked = await self.orchestration(), await self.body(CreateJobFromDefinition)
        task = await job_definition.run_definition(o, definition_id, asked, self.caller)
        await self.answer({"job_id": task.id})


class RuntimeEnvironmentsHandler(JobApiHandler):
    """Where jobs can run."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the installed kernels, and the notebook's own choice among them first."""
        specs = await asyncio.to_thread(self.settings["kernel_spec_manager"].get_all_specs)
        own = RuntimeEnvironment(
            name=verbs.OWN_KERNEL,
            label="The notebook's own kernel",
            description="Whatever kernel the notebook names",
        )
        await self.answer([own, *(_environment(name, spec) for name, spec in specs.items())])


class ConfigHandler(JobApiHandler):
    """What this server can do."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say so."""
        answer = {"supported_features": _FEATURES, "manage_environments_command": ""}
        await self.answer(answer)


def _environment(name: str, spec: Mapping[str, Any]) -> RuntimeEnvironment:
    label = spec["spec"].get("display_name", name)
    return RuntimeEnvironment(name=name, label=label, description=f"Kernel {name}")


def _lean(record: Any) -> Any:
    """Without the fields that have no value, as the contract's lists are."""
    return _without_null(wire.encode(record))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value
