"""Schedules over a real server: due, by webhook, by file, and in jupyter-scheduler's words."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from browser import chromium_path
from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.cli import main
from tests.integration.conftest import Server

#: Fields of jupyter-scheduler 2.12's ``DescribeJob`` and ``DescribeJobDefinition``.
FACTS = {
    "name", "input_filename", "runtime_environment_name", "runtime_environment_parameters",
    "output_formats", "parameters", "tags", "output_filename_template", "compute_type",
    "create_time", "update_time", "package_input_folder", "packaged_files",
}  # fmt: skip
JOB = FACTS | {
    "job_id", "job_definition_id", "idempotency_token", "job_files", "url", "start_time",
    "end_time", "status", "status_message", "downloaded",
}  # fmt: skip
DEFINITION = FACTS | {"job_definition_id", "schedule", "timezone", "active"}


@pytest.fixture(scope="module", autouse=True)
def notebook(server: Server) -> Path:
    """A notebook with one parameter, which it gives back."""
    cells = [
        _cell("day: str = 'none'", tags=["parameters"]),
        _cell("from opspawn_jupyter import step\nstep.output('day', day)"),
    ]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernelspec},
        "cells": cells,
    }
    path = server.root / "report.ipynb"
    path.write_text(json.dumps(document))
    return path


def _cell(source: str, tags: list[str] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**6}",
        "metadata": {"tags": tags or []},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def plan(name: str, **given: Any) -> dict[str, Any]:
    spec = {"notebook": "report.ipynb", "parameters_text": {"day": "{{ scheduled_date }}"}}
    return {"name": name, "submission": {"spec": spec}, **given}


def made_for_soon(server: Server, name: str) -> tuple[datetime, Any]:
    """A schedule that is due in a moment, and when; a slow server may let a moment pass."""
    for seconds in (1, 4, 16, 64):
        due_at = datetime.now(UTC) + timedelta(seconds=seconds)
        asked = plan(name, timing={"at": due_at.isoformat()})
        status, made = server.json("POST", "schedules", body=asked)
        if status == 201:
            return due_at, made
        assert "has passed" in made["message"]
    pytest.fail("a moment ahead has always passed")


def finished(server: Server, name: str) -> dict[str, Any]:
    """The first task of the schedule, once it has ended."""
    firings = server.wait(
        f"a firing of {name}",
        lambda: server.json("GET", f"schedules/{name}/history")[1]["firings"],
        bool,
    )
    path = f"tasks/{firings[-1]['task_id']}"
    task: dict[str, Any] = server.wait(
        "its end", lambda: server.json("GET", path)[1], lambda task: task["finished_at"]
    )
    return task


def test_a_notebook_runs_when_it_is_due_and_leaves_a_link_to_its_latest_run(server: Server) -> None:
    due_at, made = made_for_soon(server, "once")
    assert made["next_due_at"] == [due_at.isoformat()]

    task = finished(server, "once")

    assert task["state"] == "success"
    assert task["outputs"] == {"day": due_at.date().isoformat()}
    assert task["labels"]["schedule"] == "once"
    latest = server.root / "opspawn_runs" / "latest" / "once"
    server.wait("the link", latest.exists, bool)
    assert latest.resolve() == (server.root / task["run_directory"]).resolve()
    _, answer = server.json("GET", f"schedules/once/why?at={due_at:%Y-%m-%dT%H:%M:%S.%f}")
    assert "was submitted for it" in answer["message"]


def test_a_webhook_starts_a_task_for_whoever_has_the_token_and_nobody_else(server: Server) -> None:
    _, made = server.json("POST", "schedules", body=plan("hook", webhook=True))

    for token in ({}, {"X-Opspawn-Token": "wrong"}):
        status, _ = server.json("POST", "schedules/hook/webhook", token=None, headers=token)
        assert status == 401
    headers = {"X-Opspawn-Token": made["token"]}
    status, called = server.json("POST", "schedules/hook/webhook", token=None, headers=headers)

    assert status == 202
    assert finished(server, "hook")["id"] == called["task_id"]


def test_a_run_leaves_a_page_and_a_pdf_and_only_the_newest_run_directories(server: Server) -> None:
    if chromium_path() is None:
        pytest.skip("there is no Chromium; on Debian: apt install chromium")
    asked = plan("papers", webhook=True, html=True, pdf=True, keep_runs=1, source="pinned")
    _, made = server.json("POST", "schedules", body=asked)
    _, first = server.json("POST", "schedules/papers/trigger")
    latest = server.root / "opspawn_runs" / "latest" / "papers"
    server.wait("the PDF", (latest / "output.pdf").exists, bool)
    assert (latest / "output.pdf").read_bytes().startswith(b"%PDF-")
    assert "<html" in (latest / "output.html").read_text()[:500]
    _, second = server.json("POST", "schedules/papers/trigger")

    path = f"tasks/{first['id']}"
    server.wait(
        "its removal",
        lambda: server.json("GET", path)[1]["pruned_at"],
        bool,
    )
    assert second["labels"]["source"] == "pinned"
    assert made["schedule"]["pinned_sha256"]


def test_a_file_that_comes_starts_a_task_that_knows_it(server: Server) -> None:
    asked = plan("files", files=["arrivals/*.csv"])
    asked["submission"]["spec"]["parameters_text"] = {"day": "{{ trigger_path }}"}
    assert server.json("POST", "schedules", body=asked)[0] == 201
    folder = server.root / "arrivals"
    folder.mkdir()
    (folder / "a.csv").write_text("1,2")

    assert finished(server, "files")["outputs"] == {"day": "arrivals/a.csv"}


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"timing": {"cron": "61 * * * *"}}, 422, "no cron rule"),
        ({"timing": {"cron": "@daily", "timezone": "Mars/Base"}}, 422, "no such time zone"),
        ({"timing": {"at": "2020-01-01T00:00:00+00:00"}}, 422, "has passed"),
        ({"timing": {"cron": "@daily"}, "overlap": "never"}, 422, "overlap"),
        ({"timing": {"cron": "@daily"}, "frequency": 1}, 422, "frequency"),
        ({"timing": {"cron": "@daily"}, "follows": ["nobody"]}, 404, "no schedule of this name"),
        (
            {"timing": {"cron": "@daily"}, "submission": {"spec": {"notebook": "no.ipynb"}}},
            404,
            "no notebook at this path",
        ),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused_with_a_sentence(
    server: Server, given: dict[str, Any], status: int, said: str
) -> None:
    answered, envelope = server.json("POST", "schedules", body={**plan("bad"), **given})

    assert (answered, said in envelope["message"]) == (status, True), envelope
    assert server.json("GET", "schedules/bad")[0] == 404


def scheduler(server: Server, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request as jupyter-scheduler's front end makes it."""
    request = urllib.request.Request(
        f"{server.jupyter.url}scheduler/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {server.jupyter.token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())


def job(name: str = "Werktäglich: Bericht", **given: Any) -> dict[str, Any]:
    return {
        "name": name,
        "input_uri": "report.ipynb",
        "runtime_environment_name": "python3",
        "runtime_environment_parameters": None,
        "parameters": {"day": "today"},
        **given,
    }


def test_jupyter_schedulers_clients_run_stop_and_delete_jobs(server: Server) -> None:
    asked = job(output_formats=["ipynb", "html"], tags=["a"], idempotency_token="once")
    status, made = scheduler(server, "POST", "jobs", asked)
    assert status == 200
    assert scheduler(server, "POST", "jobs", asked)[0] == 409
    path = f"jobs/{made['job_id']}"
    described = server.wait(
        "the job's end",
        lambda: scheduler(server, "GET", path)[1],
        lambda described: described["status"] == "COMPLETED",
    )
    assert set(described) == JOB
    assert (described["name"], described["tags"]) == (asked["name"], ["a"])
    assert described["parameters"] == {"day": "today"}
    assert described["end_time"] >= described["start_time"] >= described["create_time"] > 10**12

    assert scheduler(server, "GET", f"{path}/download_files?redownload=false")[0] == 204
    files = scheduler(server, "GET", path)[1]["job_files"]
    assert {file["file_format"] for file in files} == {"ipynb", "html", "input"}
    assert all((server.root / file["file_path"]).is_file() for file in files)

    listed = scheduler(server, "GET", "jobs?status=completed&sort_by=desc(name)&max_items=1")[1]
    assert listed["total_count"] >= 1
    assert scheduler(server, "PATCH", path, {"status": "STOPPED"})[0] == 204
    assert scheduler(server, "PATCH", path, {"status": "FAILED"})[0] == 422
    assert scheduler(server, "DELETE", f"batch/jobs?job_id={made['job_id']}")[0] == 204
    assert scheduler(server, "GET", path)[0] == 404


def test_jupyter_schedulers_clients_make_change_and_end_definitions(server: Server) -> None:
    asked = job(schedule="0 9 * * *", timezone="America/New_York")
    status, made = scheduler(server, "POST", "job_definitions", asked)
    again = scheduler(server, "POST", "job_definitions", asked)
    assert (status, again[0]) == (200, 200)  # their names need not be unique
    path = f"job_definitions/{made['job_definition_id']}"
    described = scheduler(server, "GET", path)[1]
    assert set(described) == DEFINITION
    assert (described["name"], described["active"]) == (asked["name"], True)

    changes = {"schedule": "30 9 * * *", "timezone": "UTC", "active": False}
    assert scheduler(server, "PATCH", path, changes)[0] == 204
    described = scheduler(server, "GET", path)[1]
    assert {name: described[name] for name in changes} == changes
    status, run = scheduler(server, "POST", f"{path}/jobs", {"parameters": {"day": "now"}})
    assert status == 200
    one = scheduler(server, "GET", f"jobs/{run['job_id']}")[1]
    assert (one["job_definition_id"], one["parameters"]) == (
        made["job_definition_id"],
        {"day": "now"},
    )

    bad = job(schedule="99 * * * *")
    assert scheduler(server, "POST", "job_definitions", bad)[0] == 422
    assert scheduler(server, "POST", "job_definitions", {"name": "x"})[0] == 422
    assert scheduler(server, "DELETE", path)[0] == 204
    assert scheduler(server, "GET", path)[0] == 404
    assert scheduler(server, "GET", "config")[1]["supported_features"]["stop_job"] is True
    names = [one["name"] for one in scheduler(server, "GET", "runtime_environments")[1]]
    assert "python3" in names


def test_definitions_of_jupyter_scheduler_are_brought_in_and_its_files_stay_as_they_are(
    server: Server,
    notebook: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its database as it writes it; a definition whose notebook is lost is told, and left out."""
    database, staging = tmp_path / "scheduler.sqlite", tmp_path / "staging"
    columns = "job_definition_id, name, input_filename, schedule, timezone, active"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            f"CREATE TABLE job_definitions ({columns}, output_formats, tags, parameters, "
            "create_time)"
        )
        connection.execute("CREATE TABLE jobs (job_id, create_time)")
        row = ("abc", "Moved: daily", "report.ipynb", "0 7 * * *", "Asia/Tokyo", 0)
        more = ('["html"]', None, '{"day": "moved"}', 1)
        lost = ("def", "Lost", "gone.ipynb", "0 7 * * *", "UTC", 1, None, None, None, 2)
        marks = ", ".join("?" * 10)
        connection.executemany(
            f"INSERT INTO job_definitions VALUES ({marks})", [(*row, *more), lost]
        )
        connection.commit()
    (staging / "abc").mkdir(parents=True)
    (staging / "abc" / "report.ipynb").write_bytes(notebook.read_bytes())
    before = database.read_bytes()
    monkeypatch.setenv("OPSPAWN_TOKEN", server.jupyter.token)
    words = ["import", "jupyter-scheduler", "--database", str(database)]
    words += ["--staging", str(staging), "--server", server.jupyter.url]

    assert main(words) == 1

    told = capsys.readouterr().out
    assert "Moved- daily: paused, At 07:00 every day, Asia/Tokyo" in told
    assert "Lost: not imported" in told
    assert database.read_bytes() == before
    schedule = server.json("GET", "schedules/Moved-%20daily")[1]["schedule"]
    assert schedule["plan"]["submission"]["spec"]["parameters_text"] == {"day": "moved"}
    assert schedule["plan"]["html"] is True
