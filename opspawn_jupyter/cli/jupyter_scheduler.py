"""Job definitions out of jupyter-scheduler's SQLite database, as schedules of ours.

Its database and its copies of notebooks are only read. Each definition's copy becomes the
notebook that its schedule runs, because that is what jupyter-scheduler itself would have run.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_data_dir

from opspawn_jupyter.client import discovery
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.errors import InvalidRequest, KeyTaken, NotFound, OpspawnError
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.job import JOB_LABEL, schedule_name
from opspawn_jupyter.model.schedule import Plan, Timing
from opspawn_jupyter.model.task import Submission


@dataclass(frozen=True)
class Outcome:
    """What became of one definition."""

    name: str
    message: str
    is_imported: bool


def perform(options: Options) -> int:
    """Bring in what there is, and say what became of each; the exit code is 1 where one failed."""
    outcomes = list(bring_in(Client(AsyncClient(discovery.find(options.server))), options))
    if options.json:
        sys.stdout.write(f"{wire.to_json({'definitions': outcomes})}\n")
    else:
        lines = [f"{one.name}: {one.message}" for one in outcomes]
        sys.stdout.write("\n".join(lines or ["there are no job definitions"]) + "\n")
    return 0 if options.dry_run or all(one.is_imported for one in outcomes) else 1


def bring_in(client: Client, options: Options) -> Iterator[Outcome]:
    """A schedule for each definition; what cannot be one is told and left out.

    Raises ``NotFound`` where there is no database, ``InvalidRequest`` where it is none of
    jupyter-scheduler's.
    """
    database = Path(options.database or Path(jupyter_data_dir()) / "scheduler.sqlite").expanduser()
    staging = Path(
        options.staging or Path(jupyter_data_dir()) / "scheduler_staging_area"
    ).expanduser()
    for row in definitions(database):
        yield _bring_in_one(client, row, staging, dry_run=options.dry_run)


def definitions(database: Path) -> list[Mapping[str, Any]]:
    """The rows of its job definitions."""
    if not database.is_file():
        raise NotFound(str(database), hint="name jupyter-scheduler's file with --database")
    address = f"file:{quote(str(database))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM job_definitions ORDER BY create_time")
            return [dict(row) for row in rows]
    except sqlite3.DatabaseError as failure:
        hint = f"it is no database of jupyter-scheduler ({failure})"
        raise InvalidRequest(str(database), hint=hint) from failure


def _bring_in_one(
    client: Client, row: Mapping[str, Any], staging: Path, *, dry_run: bool
) -> Outcome:
    name = schedule_name(row["name"] or row["input_filename"])
    try:
        plan = _plan(name, row, staging)
        if dry_run:
            return Outcome(name, "would be a schedule", is_imported=False)
        view = client.schedules.create(plan)
        if not row["active"]:
            view = client.schedules.pause(name)
    except KeyTaken:
        return Outcome(name, "there is a schedule of this name already", is_imported=False)
    except (OpspawnError, OSError, ValueError) as problem:
        return Outcome(name, f"not imported: {problem}", is_imported=False)
    return Outcome(name, f"{view.schedule.state.value}, {view.words}", is_imported=True)


def _plan(name: str, row: Mapping[str, Any], staging: Path) -> Plan:
    copy = staging / row["job_definition_id"] / row["input_filename"]
    formats = _json(row["output_formats"]) or []
    told = {
        "name": row["name"],
        "tags": _json(row["tags"]),
        "output_formats": formats,
    }
    submission = Submission(
        name=name,
        spec={
            "content": json.loads(copy.read_text(encoding="utf-8")),
            "parameters_text": _json(row["parameters"]) or {},
            "working_directory": ".",
        },
        labels={JOB_LABEL: json.dumps({key: value for key, value in told.items() if value})},
    )
    return Plan(
        name=name,
        submission=submission,
        timing=Timing(cron=row["schedule"], timezone=row["timezone"] or "UTC"),
        # One without a time waits for somebody to start it.
        webhook=row["schedule"] is None,
        html="html" in formats,
    )


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None
