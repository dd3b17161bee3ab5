"""Bad input, through every door of a real server: one clear sentence, the right code, no trace."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess
from notebook_session import CellFailed, NotebookSession, notebook_session
from opspawn_jupyter import connect, errors


@dataclass(frozen=True)
class Mistake:
    """What a person types, what a program sends, and how both are refused."""

    words: tuple[str, ...]
    spec: dict[str, Any]
    code: str
    status: int


MISTAKES = {
    "missing file": Mistake(("no.ipynb",), {"notebook": "no.ipynb"}, "notebook_not_found", 404),
    "not a notebook": Mistake(("notes.txt",), {"notebook": "notes.txt"}, "not_a_notebook", 422),
    "broken JSON": Mistake(("torn.ipynb",), {"notebook": "torn.ipynb"}, "not_a_notebook", 422),
    "directory": Mistake(("sub",), {"notebook": "sub"}, "not_a_notebook", 422),
    "unknown kernel": Mistake(
        ("good.ipynb", "--kernel", "cobol9"),
        {"notebook": "good.ipynb", "kernel": "cobol9"},
        "unknown_kernel",
        422,
    ),
    "unknown parameter": Mistake(
        ("good.ipynb", "-p", "yaer=2026"),
        {"notebook": "good.ipynb", "parameters": {"yaer": 2026}},
        "parameter_unknown",
        422,
    ),
    "ill-typed parameter": Mistake(
        ("good.ipynb", "-p", "year=soon"),
        {"notebook": "good.ipynb", "parameters": {"year": "soon"}},
        "parameter_invalid",
        422,
    ),
    "outside the root": Mistake(("/etc/passwd",), {"notebook": "/etc/passwd"}, "outside_root", 422),
    "outside by dots": Mistake(
        ("../../etc/passwd",), {"notebook": "../../etc/passwd"}, "outside_root", 422
    ),
}


@pytest.fixture(scope="module")
def place(server: JupyterProcess) -> JupyterProcess:
    """The server's root with one good notebook and several bad files."""
    cell = nbformat.v4.new_code_cell("year: int = 2026", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), server.root / "good.ipynb")
    (server.root / "notes.txt").write_text("no notebook")
    (server.root / "torn.ipynb").write_text('{"cells": [')
    (server.root / "sub").mkdir()
    return server


@pytest.fixture(autouse=True)
def _nothing_is_left(place: JupyterProcess) -> Iterator[None]:
    """Whatever was refused: no task and no run directory."""
    yield
    assert place.api("GET", "tasks")["tasks"] == []
    assert not list(Path(place.root, "opspawn_runs").glob("*"))


@pytest.fixture(scope="module")
def session(place: JupyterProcess) -> Iterator[NotebookSession]:
    """An open notebook with the magics."""
    with notebook_session(place, "session.ipynb") as opened:
        run(opened, "%load_ext opspawn_jupyter")
        yield opened


def run(session: NotebookSession, source: str) -> list[dict[str, Any]]:
    return list(session.run(source, lambda: None))


def shell(server: JupyterProcess, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", *words],
        env=server.environment | more,
        cwd=server.root,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and "\n" not in text and "Traceback" not in text


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_rest_refuses_with_its_status_and_envelope(place: JupyterProcess, mistake: Mistake) -> None:
    """Programs decide by status and code."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        place.api("POST", "tasks", {"spec": mistake.spec})

    with refusal.value as answer:
        envelope = json.loads(answer.read())
    assert (answer.code, envelope["code"]) == (mistake.status, mistake.code)
    assert is_one_sentence(envelope["message"])
    assert envelope["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_the_shell_refuses_with_one_line(place: JupyterProcess, mistake: Mistake) -> None:
    """Exit code 2 is bad usage; standard output stays clean for scripts."""
    answer = shell(place, "run", *mistake.words)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("opspawn: ")
    assert is_one_sentence(answer.stderr.strip())


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_the_cell_refuses_with_the_same_sentence(
    place: JupyterProcess, session: NotebookSession, mistake: Mistake
) -> None:
    """The error raised in the server is the error seen in the cell."""
    said = shell(place, "run", *mistake.words).stderr.removeprefix("opspawn: ").strip()

    with pytest.raises(CellFailed) as failure:
        run(session, f"%opspawn run {' '.join(mistake.words)}")

    assert str(failure.value).partition(": ")[2] == said


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_python_raises_the_class_of_the_code(
    place: JupyterProcess, monkeypatch: pytest.MonkeyPatch, mistake: Mistake
) -> None:
    """Scripts catch errors by class."""
    monkeypatch.chdir(place.root)
    options = {name: value for name, value in mistake.spec.items() if name != "notebook"}

    with pytest.raises(errors.OpspawnError) as refusal:
        connect(place.url, place.token).run(mistake.spec["notebook"], **options)

    assert refusal.value.code == mistake.code


@pytest.mark.parametrize("words", [("status",), ("cancel",), ("result",), ("logs",)])
def test_an_unknown_task_is_named(
    place: JupyterProcess, session: NotebookSession, words: tuple[str, ...]
) -> None:
    """A typing mistake in an id is the commonest one."""
    answer = shell(place, *words, "deadbeef")

    assert answer.returncode == 2
    assert "'deadbeef'" in answer.stderr
    with pytest.raises(CellFailed, match="deadbeef"):
        run(session, f"%opspawn {words[0]} deadbeef")


def test_a_server_that_is_not_there_is_said_to_be_so(place: JupyterProcess) -> None:
    """Nobody should have to read a traceback of sockets."""
    answer = shell(place, "tasks", OPSPAWN_URL="http://127.0.0.1:9/")

    assert answer.returncode == 1
    assert is_one_sentence(answer.stderr.strip())
    assert "does not answer" in answer.stderr


def test_a_wrong_token_is_said_to_be_wrong_and_not_repeated(place: JupyterProcess) -> None:
    """Tokens must not reach a screen or a log."""
    answer = shell(place, "tasks", OPSPAWN_TOKEN="wrong-secret")

    assert answer.returncode == 1
    assert "OPSPAWN_TOKEN" in answer.stderr
    assert "wrong-secret" not in answer.stderr
