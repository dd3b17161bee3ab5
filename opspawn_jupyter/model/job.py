"""Jobs and job definitions: our tasks and schedules in the words of jupyter-scheduler.

The records of its REST contract (jupyter-scheduler 2.12, ``api/openapi.yaml``), field by field.
Times are milliseconds since 1970 in UTC. What its requests carry beyond these fields is passed
over, as its own server does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Label of tasks that were submitted as jobs: what the contract asks to be given back, as JSON.
JOB_LABEL = "job"
OUTPUT_FILENAME_TEMPLATE = "{{input_filename}}-{{create_time}}"
MOST_ITEMS = 1_000


_UNNAMED = re.compile(r"[^\w.\- ]+", re.ASCII)


def schedule_name(given: str) -> str:
    """A job's name as our schedules and run directories can bear it."""
    return _UNNAMED.sub("-", given).strip("-. ")[:80] or "job"


class JobStatus(StrEnum):
    """Where a job stands."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What jobs and job definitions have in common."""

    name: str
    #: Relative to the server's root.
    input_uri: str
    input_filename: str | None = None
    runtime_environment_name: str = ""
    runtime_environment_parameters: Mapping[str, Any] | None = None
    output_formats: tuple[str, ...] | None = None
    parameters: Mapping[str, str] | None = None
    tags: tuple[str, ...] | None = None
    output_filename_template: str | None = OUTPUT_FILENAME_TEMPLATE
    compute_type: str | None = None
    package_input_folder: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CreateJob(JobRequest):
    """A notebook to be run now."""

    idempotency_token: str | None = None
    job_definition_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateJobDefinition(JobRequest):
    """A notebook to be run when it is due, or when somebody asks for it."""

    schedule: str | None = None
    timezone: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateJobFromDefinition:
    """One run of a definition, with other parameters."""

    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateJob:
    """The end of a job (``STOPPED``). A name that is given is passed over: tasks keep theirs."""

    status: JobStatus | None = None
    name: str | None = None
    compute_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateJobDefinition:
    """Changes of a definition; what is left out stays."""

    runtime_environment_name: str | None = None
    output_formats: tuple[str, ...] | None = None
    parameters: Mapping[str, str] | None = None
    tags: tuple[str, ...] | None = None
    name: str | None = None
    schedule: str | None = None
    timezone: str | None = None
    active: bool | None = None
    input_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """A file of a job."""

    display_name: str
    file_format: str
    #: Relative to the server's root; None while it is not there.
    file_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What both descriptions have in common."""

    name: str
    input_filename: str
    runtime_environment_name: str
    runtime_environment_parameters: Mapping[str, Any] | None = None
    output_formats: tuple[str, ...] = ()
    parameters: Mapping[str, str] | None = None
    tags: tuple[str, ...] | None = None
    output_filename_template: str | None = OUTPUT_FILENAME_TEMPLATE
    compute_type: str | None = None
    create_time: int
    update_time: int
    package_input_folder: bool | None = None
    packaged_files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DescribeJob(JobFacts):
    """A job as it stands."""

    job_id: str
    job_definition_id: str | None = None
    idempotency_token: str | None = None
    job_files: tuple[JobFile, ...] = ()
    url: str
    start_time: int | None = None
    end_time: int | None = None
    status: JobStatus = JobStatus.CREATED
    status_message: str | None = None
    downloaded: bool = False


@dataclass(frozen=True, kw_only=True)
class DescribeJobDefinition(JobFacts):
    """A job definition as it stands."""

    job_definition_id: str
    schedule: str | None = None
    timezone: str | None = None
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class JobList:
    """One page of jobs."""

    jobs: tuple[DescribeJob, ...]
    total_count: int
    next_token: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobDefinitionList:
    """One page of job definitions."""

    job_definitions: tuple[DescribeJobDefinition, ...]
    total_count: int
    next_token: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    """Which jobs or definitions, in which order."""

    job_definition_id: str | None = None
    status: JobStatus | None = None
    #: Those whose name begins so.
    name: str | None = None
    tags: tuple[str, ...] = ()
    #: Not before, in milliseconds.
    start_time: int | None = None
    create_time: int | None = None
    #: As ``asc(name)``, ``desc(create_time)`` or ``name``; the first counts most.
    sort_by: tuple[str, ...] = ("desc(create_time)",)
    max_items: int = MOST_ITEMS
    next_token: str | None = None


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """A form in which a job's notebook can be had."""

    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class RuntimeEnvironment:
    """Where a job can run: here, one of the installed kernels."""

    name: str
    label: str
    description: str
    file_extensions: tuple[str, ...] = ("ipynb",)
    output_formats: tuple[OutputFormat, ...] = (
        OutputFormat(name="ipynb", label="Notebook"),
        OutputFormat(name="html", label="HTML"),
    )
    metadata: Mapping[str, str] | None = field(default_factory=dict)
    compute_types: tuple[str, ...] | None = None
    default_compute_type: str | None = None
    utc_only: bool | None = None
