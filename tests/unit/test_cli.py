"""``opspawn`` in a shell: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.cli import main
from opspawn_jupyter.model.states import EventType

Captured = pytest.CaptureFixture[str]


def start(*words: str, **settings: Any) -> subprocess.Popen[bytes]:
    """A shell command of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words], **pipes | settings
    )


def test_a_run_is_waited_for_and_told_in_plain_lines(
    stand_in: Any, stories: Any, capsys: Captured
) -> None:
    stand_in.story = stories["success"]

    code = main(["run", "nb.ipynb", "-p", "year=2026"])

    out = capsys.readouterr().out.splitlines()
    assert code == 0
    assert out[:3] == ["[1/2] load = 1", "loaded 3 rows", "[2/2] plot(load)"]
    assert out[3].startswith("✓ success  nb.ipynb")
    assert "rows = 3" in out


def test_what_has_no_cells_is_told_by_its_own_words(stand_in: Any, capsys: Captured) -> None:
    """A workflow that waits for an answer would else wait without a word in a pipe."""
    said = {"fraction": 0.5, "text": "1 of 2 steps, 1 waits for an answer"}
    stand_in.story = [
        (EventType.STARTED, {}),
        (EventType.STEP_PROGRESS, said),
        (EventType.STEP_PROGRESS, said),
        (EventType.SUCCEEDED, {}),
    ]

    main(["run", "nb.ipynb"])

    out = capsys.readouterr().out.splitlines()
    assert out[0] == "50% 1 of 2 steps, 1 waits for an answer"
    assert out[1].startswith("✓ success"), "the same is not told twice"


def test_json_is_the_last_line_and_the_only_one(
    stand_in: Any, stories: Any, capsys: Captured
) -> None:
    """Programs read stdout; people read stderr."""
    stand_in.story = stories["failure"]

    code = main(["run", "nb.ipynb", "--json"])

    out, err = capsys.readouterr()
    task = json.loads(out)
    assert code == 1
    assert out.count("\n") == 1
    assert (task["state"], task["cells"][1]["state"]) == ("failed", "failed")
    assert "loaded 3 rows" in err
    assert err.splitlines()[-1].startswith("opspawn: The task failed")


@pytest.mark.parametrize(("story", "code"), [("success", 0), ("failure", 1), ("crash", 138)])
def test_the_exit_code_tells_the_outcome(
    stand_in: Any, stories: Any, capsys: Captured, story: str, code: int
) -> None:
    stand_in.story = stories[story]

    assert main(["run", "nb.ipynb"]) == code


def test_detached_it_returns_at_once(stand_in: Any, capsys: Captured) -> None:
    assert main(["run", "nb.ipynb", "--detach"]) == 0

    assert "queued" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run"], 2, "NOTEBOOK"),
        (["run", "missing.ipynb"], 2, "missing.ipynb"),
        (["status", "12345678"], 2, "12345678"),
        (["run", "nb.ipynb", "--serve", "--detach"], 2, "--detach"),
        (["tasks", "--server", "http://127.0.0.1:1/"], 1, "does not answer"),
        (["tasks", "--server", "nonsense"], 2, "http://"),
    ],
)
def test_errors_are_one_line_on_stderr(
    stand_in: Any, capsys: Captured, words: list[str], code: int, said: str
) -> None:
    assert main(words) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("opspawn: ")
    assert err.count("\n") == 1
    assert said in err


def test_without_a_server_a_run_is_offered_one(runtime_directory: Path, capsys: Captured) -> None:
    assert main(["run", "nb.ipynb"]) == 1
    assert "--serve" in capsys.readouterr().err

    assert main(["tasks"]) == 1
    assert "--serve" not in capsys.readouterr().err


def test_a_mistake_of_ours_is_one_line_too(
    stand_in: Any, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opspawn_jupyter.cli.shell.perform", lambda _: 1 / 0)

    assert main(["plugins"]) == 1
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err


def test_the_other_commands_print_what_they_are_asked(
    stand_in: Any,
    stories: Any,
    capsys: Captured,
    tmp_path: Path,
) -> None:
    stand_in.story = stories["success"]
    task = stand_in.submitted()
    short = task.id[-8:]

    def said(*words: str) -> str:
        assert main(list(words)) == 0
        return capsys.readouterr().out

    assert short in said("tasks")
    assert said("status", short).startswith("✓ success")
    assert json.loads(said("result", short)) == {"rows": 3}
    assert said("logs", short, "--tail", "1") == "second line\n"
    assert said("sql", "select", "1").split() == ["n", "1"]
    assert said("params", "nb.ipynb") == "year: int = 2026\n"
    assert json.loads(said("tasks", "--json"))["tasks"][0]["id"] == task.id
    page = tmp_path / "page.html"
    assert said("notebook", short, "--html", "-o", str(page)) == f"{page}\n"
    assert page.read_bytes() == b"{}"


def test_the_result_of_a_failed_task_is_its_error(
    stand_in: Any, stories: Any, capsys: Captured
) -> None:
    stand_in.story = stories["crash"]
    task = stand_in.submitted()

    assert main(["result", task.id]) == 138
    assert "the kernel died" in capsys.readouterr().err


def test_ctrl_c_ends_the_wait_and_not_the_task(stand_in: Any) -> None:
    process = start("run", "nb.ipynb")
    stand_in.until(lambda: bool(stand_in.listeners))

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    (task,) = stand_in.tasks.values()
    assert process.returncode == 130
    assert err.decode() == f"opspawn: no longer waiting; task {task.id[-8:]} goes on\n"
    assert task.state == "queued"


def test_a_reader_who_has_read_enough_is_no_error(stand_in: Any) -> None:
    """As in ``opspawn tasks | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)

    process = start("tasks", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, err) == (0, b"")


def test_the_version_comes_without_the_client() -> None:
    """It is asked for by scripts, many times."""
    script = (
        "import sys; from opspawn_jupyter.cli import main; code = main(['--version']);"
        "print(code, [n for n in ('tornado', 'rich', 'asyncio') if n in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    version, rest = answer.stdout.decode().splitlines()
    assert version.startswith("opspawn 0.")
    assert rest == "0 []"


def test_on_a_terminal_there_is_a_bar(stand_in: Any, stories: Any) -> None:
    stand_in.story = stories["success"]
    ours, theirs = os.openpty()

    process = start("run", "nb.ipynb", stdout=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while b"run directory" not in shown:
        shown += os.read(ours, 4096)
    process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)

    assert process.returncode == 0
    assert b"loaded 3 rows" in shown
    assert b"2/2" in shown
