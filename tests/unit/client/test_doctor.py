"""The doctor's report: what each surface shows of it, and what the files of a server tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from opspawn_jupyter.client import html, local_checks, text
from opspawn_jupyter.client.doctor import examine, ok, problem, room, warning
from opspawn_jupyter.client.grammar import command_names, parse
from opspawn_jupyter.client.parser import Surface
from opspawn_jupyter.client.render import as_json
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.model.diagnosis import Report, Verdict

REPORT = Report(
    findings=(ok("a", "fine"), warning("disk", "<low>", "make room"), problem("token", "no"))
)


def test_a_report_tells_in_words_what_to_do():
    """Colour and glyph are never all that tells."""
    said = text.report(REPORT)

    assert "! warning  disk   <low>" in said
    assert "→ make room" in said
    assert said.endswith("3 checks: 1 problem, 1 warning")
    assert "&lt;low&gt;" in html.report(REPORT)
    assert json.loads(as_json(REPORT))["verdict"] == "problem"
    assert Report(findings=(ok("a", "b"),)).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("free_bytes", "verdict"),
    [(10**6, Verdict.PROBLEM), (10**9, Verdict.WARNING), (10**11, Verdict.OK)],
)
def test_room_runs_out_in_two_steps(free_bytes: int, verdict: Verdict):
    """First a warning, while there is still time."""
    assert room("disk", free_bytes).verdict is verdict


def test_without_a_server_there_is_a_report(runtime_directory, tmp_path, monkeypatch):
    """And it never raises, whatever is missing."""
    monkeypatch.chdir(tmp_path)

    report = examine(check_store=lambda _: [problem("store", "broken")])

    found = {finding.check: finding.verdict for finding in report.findings}
    assert found["server found"] is Verdict.WARNING
    assert found["store"] is Verdict.PROBLEM


def test_a_server_without_the_route_is_a_finding(stand_in):
    """An older server, or one that cannot say: the report goes on."""
    found = {finding.check: finding.verdict for finding in examine().findings}

    assert found["extension"] is Verdict.OK
    assert found["server"] is Verdict.PROBLEM
    assert found["processes"] is Verdict.OK


def test_a_state_that_others_can_read_is_a_warning(tmp_path: Path):
    """Parameters and outputs lie in it, and the worker's secret."""
    tmp_path.chmod(0o755)
    assert [one.verdict for one in local_checks.permissions(tmp_path)] == [Verdict.WARNING]
    tmp_path.chmod(0o700)
    assert [one.verdict for one in local_checks.permissions(tmp_path)] == [Verdict.OK]


def test_a_process_of_a_run_without_a_worker_is_named(tmp_path: Path):
    """Its memory is missing elsewhere; whose it is the environment tells."""
    variables = {
        "OPSPAWN_TASK_ID": "01a1fa78-6d3f-7c52-94da-2ccdacddfc4c",
        "OPSPAWN_RUN_DIRECTORY": str(tmp_path / "opspawn_runs" / "x"),
    }
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(
        command, env=os.environ | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()

        (found,) = local_checks.leftovers(tmp_path, tmp_path / ".opspawn", has_server=False)

        assert found.verdict is Verdict.WARNING
        assert f"kill {orphan.pid}" in found.advice
        orphan.communicate()
    (after,) = local_checks.leftovers(tmp_path, tmp_path / ".opspawn", has_server=False)
    assert after.verdict is Verdict.OK


def test_a_worker_without_a_server_is_named(tmp_path: Path):
    """Its runs are not lost: the next server hears of them."""
    me = psutil.Process()
    (tmp_path / ".opspawn" / "workers").mkdir(parents=True)
    record = {"pid": me.pid, "created": me.create_time()}
    (tmp_path / ".opspawn" / "workers" / "w.json").write_text(json.dumps(record))

    (found,) = local_checks.leftovers(tmp_path, tmp_path / ".opspawn", has_server=False)

    assert "start the server again" in found.advice


def test_what_is_pruned_is_written_as_people_write_it():
    """Ages and sizes with their units."""
    words = ["prune", "--older-than", "2w", "--keep", "0", "--max-bytes", "1.5GB", "--label", "a=b"]

    options = parse(words, Surface.LINE)

    assert options is not None
    assert (options.older_than, options.keep, options.max_bytes) == (14, 0, 1_500_000_000)
    assert options.labels == {"a": "b"}


@pytest.mark.parametrize("words", ["--older-than 30", "--keep -1", "--max-bytes lots"])
def test_what_could_be_misunderstood_is_refused(words: str):
    """30 of what? Deleting is no place for guesses."""
    with pytest.raises(UsageError):
        parse(["prune", *words.split()], Surface.SHELL)


def test_a_store_is_rebuilt_in_a_shell_only():
    """The server must be stopped, and with it every kernel."""
    assert "store" in command_names(Surface.SHELL)
    assert "store" not in command_names(Surface.LINE)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (10**16, "10000.0 TB")],
)
def test_sizes_are_shown_as_people_say_them(size_bytes: int, shown: str):
    """In powers of 1000, as disks are sold and `prune --max-bytes` reads them."""
    assert text.size(size_bytes) == shown
