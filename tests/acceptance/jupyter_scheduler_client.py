"""Run by jupyter-scheduler's own Python, with its real package: its models over the wire, and its
database as it writes it.

jupyter_scheduler_client.py contract URL TOKEN
jupyter_scheduler_client.py database FILE STAGING NOTEBOOK
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from jupyter_scheduler import models, orm
from jupyter_scheduler.utils import create_output_filename

DEADLINE_SECONDS = 150


def contract(url: str, token: str) -> None:
    """Everything that is sent is one of its models, and so is every answer."""

    def ask(method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{url}scheduler/{path}",
            method=method,
            data=None if body is None else body.json().encode(),
            headers={"Authorization": f"token {token}"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    # On the wire, formats have a label too; its own handler adds it to what the model has.
    environments = [
        models.RuntimeEnvironment(
            **{**one, "output_formats": [known["name"] for known in one["output_formats"]]}
        )
        for one in ask("GET", "runtime_environments")
    ]
    common = {
        "input_uri": "report.ipynb",
        "runtime_environment_name": environments[0].name,
        "output_formats": ["ipynb"],
        "parameters": {"day": "today"},
        "tags": ["a"],
    }
    made = ask("POST", "jobs", models.CreateJob(name="one", **common))
    path = f"jobs/{made['job_id']}"
    end = time.monotonic() + DEADLINE_SECONDS
    while (job := models.DescribeJob(**ask("GET", path))).status is not models.Status.COMPLETED:
        assert time.monotonic() < end, job
        assert job.status in (models.Status.QUEUED, models.Status.IN_PROGRESS), job
        time.sleep(0.2)
    assert (job.name, job.tags, job.parameters) == ("one", ["a"], {"day": "today"})
    assert [file.file_format for file in job.job_files] == ["ipynb", "input"]
    listed = models.ListJobsResponse(**ask("GET", "jobs?name=one"))
    assert job in listed.jobs

    asked = models.CreateJobDefinition(name="daily", schedule="0 9 * * *", timezone="UTC", **common)
    made = ask("POST", "job_definitions", asked)
    path = f"job_definitions/{made['job_definition_id']}"
    definition = models.DescribeJobDefinition(**ask("GET", path))
    assert (definition.schedule, definition.active) == ("0 9 * * *", True)
    ask("PATCH", path, models.UpdateJobDefinition(active=False, runtime_environment_name=None))
    run = ask("POST", f"{path}/jobs", models.CreateJobFromDefinition(parameters={"day": "now"}))
    job = models.DescribeJob(**ask("GET", f"jobs/{run['job_id']}"))
    assert (job.job_definition_id, job.parameters) == (definition.job_definition_id, {"day": "now"})
    found = models.ListJobDefinitionsResponse(**ask("GET", "job_definitions"))
    assert [one.active for one in found.job_definitions if one.name == "daily"] == [False]
    ask("PATCH", f"jobs/{job.job_id}", models.UpdateJob(status=models.Status.STOPPED))
    ask("DELETE", path)


def database(file: str, staging: str, notebook: str) -> None:
    """One definition, one job of it that has run, one that failed by itself, one without end."""
    address = f"sqlite:///{file}"
    orm.create_tables(address)
    common = {
        "runtime_environment_name": "python3",
        "input_filename": "report.ipynb",
        "output_formats": ["ipynb", "html"],
        "parameters": {"day": "moved"},
        "create_time": 1_750_000_000_000,
    }
    rows = [
        orm.JobDefinition(
            name="Moved: daily", schedule="0 7 * * *", timezone="Asia/Tokyo", active=False, **common
        ),
        orm.Job(name="Moved: daily", status="COMPLETED", start_time=1_750_000_001_000,
                end_time=1_750_000_005_000, **common),
        orm.Job(name="broken", status="FAILED", status_message="ZeroDivisionError", **common),
        orm.Job(name="endless", status="IN_PROGRESS", **common),
    ]  # fmt: skip
    with orm.create_session(address)() as session:
        session.add_all(rows)
        session.flush()
        rows[1].job_definition_id = rows[0].job_definition_id
        ids = [rows[0].job_definition_id, *(row.job_id for row in rows[1:])]
        session.commit()
    for one in ids:
        folder = Path(staging, one)
        folder.mkdir(parents=True)
        shutil.copy(notebook, folder / "report.ipynb")
    shutil.copy(
        notebook,
        Path(staging, ids[1], create_output_filename("report.ipynb", 1_750_000_000_000, "ipynb")),
    )


if __name__ == "__main__":
    {"contract": contract, "database": database}[sys.argv[1]](*sys.argv[2:])
