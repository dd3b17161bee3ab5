"""Job definitions and past jobs out of jupyter-scheduler's SQLite database, as schedules and
finished tasks of ours.

Its database and its copies of notebooks are only read. Each definition's copy becomes the
notebook that its schedule runs, because that is what jupyter-scheduler itself would have run.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_data_dir

from opspawn_jupyter.client import discovery
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.errors import InvalidRequest, KeyTaken, NotFound, OpspawnError
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.job import JOB_LABEL, JobStatus, schedule_name
from opspawn_jupyter.model.past_job import PastJob
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission

Row = Mapping[str, Any]

#: The outcomes of jobs that have ended.
_STATES = {
    JobStatus.COMPLETED: State.SUCCESS,
    JobStatus.FAILED: State.FAILED,
    JobStatus.STOPPED: State.CANCELLED,
}


@dataclass(frozen=True)
class Outcome:
    """What became of one definition or job."""

    name: str
    message: str
    is_imported: bool


@dataclass(frozen=True)
class Source:
    """Its files, opened for reading only."""

    database: Path
    staging: Path
    is_dry_run: bool
    #: Names of our schedules by the ids of its definitions.
    schedules: dict[str, str] = field(default_factory=dict)

    def rows(self, table: str) -> list[Row]:
        """What a table holds, oldest first. Raises ``NotFound`` where there is no database,
        ``InvalidRequest`` where it is none of jupyter-scheduler's."""
        if not self.database.is_file():
            raise NotFound(str(self.database), hint="name jupyter-scheduler's file with --database")
        address = f"file:{quote(str(self.database))}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                # The names of its tables are ours to write.
                found = connection.execute(f"SELECT * FROM {table} ORDER BY create_time")  # noqa: S608
                return [dict(row) for row in found]
        except sqlite3.DatabaseError as failure:
            hint = f"it is no database of jupyter-scheduler ({failure})"
            raise InvalidRequest(str(self.database), hint=hint) from failure


def perform(options: Options) -> int:
    """Bring in what there is, and say what became of each; the exit code is 1 where one failed."""
    client = Client(AsyncClient(discovery.find(options.server)))
    source = _source(options)
    definitions = list(_definitions(client, source))
    jobs = [] if options.no_jobs else list(_jobs(client, source))
    if options.json:
        sys.stdout.write(f"{wire.to_json({'definitions': definitions, 'jobs': jobs})}\n")
    else:
        sys.stdout.write("\n".join(_lines(definitions, jobs)) + "\n")
    return 0 if options.dry_run or all(one.is_imported for one in [*definitions, *jobs]) else 1


def _source(options: Options) -> Source:
    data = Path(jupyter_data_dir())
    return Source(
        Path(options.database or data / "scheduler.sqlite").expanduser(),
        Path(options.staging or data / "scheduler_staging_area").expanduser(),
        options.dry_run,
    )


def _lines(definitions: list[Outcome], jobs: list[Outcome]) -> Iterator[str]:
    yield from [f"{one.name}: {one.message}" for one in definitions] or ["no job definitions"]
    done = sum(one.is_imported for one in jobs)
    if jobs:
        yield f"past jobs: {done} of {len(jobs)} are in the history (opspawn tasks)"
    yield from (f"{one.name}: {one.message}" for one in jobs if not one.is_imported)


def _definitions(client: Client, source: Source) -> Iterator[Outcome]:
    """A schedule for each; what cannot be one is told and left out."""
    for row in source.rows("job_definitions"):
        name = schedule_name(row["name"] or row["input_filename"])
        try:
            yield _definition(client, row, name, source)
        except (OpspawnError, OSError, ValueError) as problem:
            yield Outcome(name, f"not imported: {problem}", is_imported=False)


def _definition(client: Client, row: Row, name: str, source: Source) -> Outcome:
    plan = _plan(name, row, source.staging)
    source.schedules[row["job_definition_id"]] = name
    if source.is_dry_run:
        return Outcome(name, "would be a schedule", is_imported=False)
    try:
        view = client.schedules.create(plan)
    except KeyTaken:
        return Outcome(name, "there is a schedule of this name already", is_imported=False)
    except OpspawnError:
        del source.schedules[row["job_definition_id"]]
        raise
    if not row["active"]:
        view = client.schedules.pause(name)
    return Outcome(name, f"{view.schedule.state.value}, {view.words}", is_imported=True)


def _plan(name: str, row: Row, staging: Path) -> Plan:
    copy = staging / row["job_definition_id"] / row["input_filename"]
    submission = Submission(
        name=name,
        spec={
            "content": json.loads(copy.read_text(encoding="utf-8")),
            "parameters_text": _json(row["parameters"]) or {},
            "working_directory": ".",
        },
        labels=_labels(row),
    )
    return Plan(
        name=name,
        submission=submission,
        timing=Timing(cron=row["schedule"], timezone=row["timezone"] or "UTC"),
        # One without a time waits for somebody to start it.
        webhook=row["schedule"] is None,
        html="html" in (_json(row["output_formats"]) or []),
    )


def _jobs(client: Client, source: Source) -> Iterator[Outcome]:
    """A finished task for each that has ended; what cannot be one is told and left out."""
    for row in source.rows("jobs"):
        name = f"job {row['job_id']}"
        try:
            past = _past(row, source)
            if not source.is_dry_run:
                client.schedules.take_in(past)
        except (OpspawnError, OSError, ValueError, TypeError) as problem:
            yield Outcome(name, f"not imported: {problem}", is_imported=False)
        else:
            yield Outcome(name, "is in the history", is_imported=not source.is_dry_run)


def _past(row: Row, source: Source) -> PastJob:
    """The job with its notebooks. Raises ``ValueError`` for one that has not ended."""
    status = JobStatus(row["status"])
    if status not in _STATES:
        message = f"it is {status.value}, and has no end"
        raise ValueError(message)
    directory = source.staging / row["job_id"]
    given = directory / row["input_filename"]
    executed = sorted(path for path in directory.glob("*.ipynb") if path != given)
    created = row["create_time"]
    started = max(created, row["start_time"] or created)
    return PastJob(
        key=f"jupyter-scheduler:{row['job_id']}",
        name=schedule_name(row["name"] or row["input_filename"]),
        state=_STATES[status],
        created_at=_moment(created),
        started_at=_moment(started),
        finished_at=_moment(max(started, row["end_time"] or row["update_time"] or started)),
        notebook=json.loads(given.read_text(encoding="utf-8")),
        output=json.loads(executed[0].read_text(encoding="utf-8")) if executed else None,
        kernel=row["runtime_environment_name"],
        parameters=_json(row["parameters"]) or {},
        message=row["status_message"] or "",
        schedule=source.schedules.get(row["job_definition_id"]),
        labels=_labels(row),
    )


def _labels(row: Row) -> dict[str, str]:
    """What its UI asks to be given back."""
    formats, tags = _json(row["output_formats"]) or [], _json(row["tags"])
    told = {"name": row["name"], "tags": tags, "output_formats": formats}
    return {JOB_LABEL: json.dumps({key: value for key, value in told.items() if value})}


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None
