"""Each command for workflows through each of its doors, with good input and with bad."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess
from notebook_session import CellFailed, NotebookSession, notebook_session
from opspawn_jupyter import connect, errors
from opspawn_jupyter.client.client import connect_async
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.workflow import WorkflowRequest
from opspawn_jupyter.model.workflow_view import RerunRequest

_FLOW = """\
name: doors
cache: true
parameters: {n: 1}
tasks:
  - id: first
    cell: |
      from opspawn_jupyter import step
      step.output("m", n + 1)
    with: {n: "${{ parameters.n }}"}
  - id: second
    plugin: shell
    config: {command: "echo ${{ tasks.first.outputs.m }} && test -e there.txt"}
"""
_REPAIR = RerunRequest()
_FROM_SECOND = RerunRequest(from_step="second")


@dataclass(frozen=True)
class Command:
    """The same question through each door; what the answer says wherever it is asked."""

    words: str
    rest: tuple[str, str, Any]
    #: Of a ``Client`` or an ``AsyncClient``.
    python: Callable[[Any, dict[str, str]], Any]
    says: tuple[str, ...]


COMMANDS = {
    "validate": Command(
        "validate flow.yaml",
        ("POST", "workflow-check", {"path": "flow.yaml"}),
        lambda client, _: client.check_workflow(WorkflowRequest(path="flow.yaml")),
        ("flow.yaml",),
    ),
    "run": Command(
        "run flow.yaml --wait",
        ("POST", "tasks", {"kind": "workflow", "spec": {"path": "flow.yaml"}}),
        lambda client, _: client.run_workflow("flow.yaml"),
        ("success", "doors"),
    ),
    "show": Command(
        "show {broken}",
        ("GET", "workflows/{broken}", None),
        lambda client, runs: client.workflow(runs["broken"]),
        ("first", "second", "failed", "non-zero exit status"),
    ),
    "explain": Command(
        "explain {good}",
        ("GET", "workflows/{good}/explain", None),
        lambda client, runs: client.explain_workflow(runs["good"]),
        ("first", "its parameters changed", "it has not run with success before"),
    ),
    "repair": Command(
        "repair {broken} --wait",
        ("POST", "workflows/{broken}/rerun", {}),
        lambda client, runs: client.rerun_workflow(runs["broken"], _REPAIR),
        ("success", "doors"),
    ),
    "rerun": Command(
        "rerun {good} --from second --wait",
        ("POST", "workflows/{good}/rerun", {"from_step": "second"}),
        lambda client, runs: client.rerun_workflow(runs["good"], _FROM_SECOND),
        ("success", "doors"),
    ),
    "compare": Command(
        "compare {broken} {good}",
        ("GET", "workflows/{broken}/compare/{good}", None),
        lambda client, runs: client.compare_workflows(runs["broken"], runs["good"]),
        ("second", "failed", "success", "1", "5"),
    ),
    "schema": Command(
        "schema",
        ("GET", "workflow-schema.json", None),
        lambda client, _: client.workflow_schema(),
        ("max_parallel", "depends_on"),
    ),
    "list-plugins": Command(
        "list-plugins",
        ("GET", "plugins", None),
        lambda client, _: client.plugins(),
        ("csv_ingest", "mcp_tool"),
    ),
}


@dataclass(frozen=True)
class Mistake:
    """What somebody hands in as a workflow, and part of what is said of it."""

    source: str
    says: str


def _bomb() -> str:
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join(lines)


def _circle() -> str:
    steps = (f"{{id: s{n}, cell: x, depends_on: s{(n + 1) % 5000}}}" for n in range(5000))
    return f"tasks: [{', '.join(steps)}]"


MISTAKES = {
    "no YAML": Mistake("tasks:\n\t- id: a", "2:1: the file is not YAML"),
    "growth by aliases": Mistake(_bomb(), "values once its aliases are followed"),
    "a huge file": Mistake("# " + "x" * (5 << 20), "at most 4194304"),
    "a key twice": Mistake("name: a\nname: b\ntasks: [{id: a, cell: x}]", "2:1: 'name' is given"),
    "wrong types": Mistake("tasks: [{id: 7, cell: x}, {id: b, cell: [1]}]", "'cell': input"),
    "a path outside": Mistake("tasks: [{id: a, notebook: ../../etc/passwd}]", "lies outside"),
    "code in a template": Mistake(
        "tasks: [{id: a, plugin: shell, config: {command: \"${{ open('x') }}\"}}]", "may call"
    ),
    "a name without end": Mistake(
        f"tasks: [{{id: a, cell: x, when: tasks{'.a' * 900}}}]", "1:26: an expression is nested"
    ),
    "a circle of 5,000 steps": Mistake(_circle(), "circle: s0 → s1"),
}


@pytest.fixture(scope="module")
def place(server: JupyterProcess) -> JupyterProcess:
    """The server's root with the workflow, and files that cannot be run."""
    (server.root / "flow.yaml").write_text(_FLOW)
    for name, mistake in MISTAKES.items():
        (server.root / f"{_file(name)}").write_text(mistake.source)
    (server.root / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    (server.root / "zero.yaml").symlink_to("/dev/zero")
    return server


@pytest.fixture(scope="module")
def runs(place: JupyterProcess) -> dict[str, str]:
    """One that failed, because a file was missing, and one that did not."""
    spec: dict[str, Any] = {"path": "flow.yaml"}
    broken = place.api("POST", "tasks", {"kind": "workflow", "spec": spec})["id"]
    assert place.await_task(broken)["state"] == "failed"
    (place.root / "there.txt").touch()
    spec["parameters"] = {"n": 5}
    good = place.api("POST", "tasks", {"kind": "workflow", "spec": spec})["id"]
    assert place.await_task(good)["state"] == "success"
    return {"broken": broken, "good": good}


@pytest.fixture(scope="module")
def session(place: JupyterProcess) -> Iterator[NotebookSession]:
    """An open notebook with the magics."""
    with notebook_session(place, "session.ipynb") as opened:
        _cell(opened, "%load_ext opspawn_jupyter")
        yield opened


def _file(name: str) -> str:
    return f"{name.replace(' ', '_')}.yaml"


def _shell(place: JupyterProcess, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opspawn_jupyter.cli", "workflow", *words],
        env=place.environment,
        cwd=place.root,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def _cell(session: NotebookSession, source: str) -> str:
    return json.dumps(list(session.run(source, lambda: None)), ensure_ascii=False)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_shell_has_the_command(
    place: JupyterProcess, runs: dict[str, str], command: Command
) -> None:
    """What a script and a nightly job call."""
    answer = _shell(place, *command.words.format(**runs).split())

    assert answer.returncode == 0, answer.stderr
    assert [word for word in command.says if word not in answer.stdout] == []


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_line_magic_has_the_command(
    session: NotebookSession, runs: dict[str, str], command: Command
) -> None:
    """The same words in a notebook, with what they give as a value."""
    line = f"%opspawn workflow {command.words.format(**runs)}"
    given = _cell(session, f"given = {line}\ngiven")

    assert [word for word in command.says if word not in given] == []


@pytest.mark.parametrize("action", ["--wait", "validate"])
def test_the_cell_magic_takes_the_text_itself(
    session: NotebookSession, runs: dict[str, str], action: str
) -> None:
    """A workflow that is being written needs no file."""
    assert runs
    given = _cell(session, f"%%opspawn workflow {action}\n{_FLOW}")

    assert "nothing is wrong" in given or "success" in given


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_rest_has_the_command(
    place: JupyterProcess, runs: dict[str, str], command: Command
) -> None:
    """What other programs and the panels ask."""
    method, path, body = command.rest
    answer = place.api(method, path.format(**runs), body)
    if "idempotency_key" in answer:
        answer = place.await_task(answer["id"])

    text = json.dumps(answer)
    assert [word for word in command.says if word not in text] == []


@pytest.mark.parametrize("is_async", [False, True], ids=["Client", "AsyncClient"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_python_has_the_command(
    place: JupyterProcess, runs: dict[str, str], command: Command, is_async: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Scripts and services; with ``await`` and without."""
    monkeypatch.chdir(place.root)

    async def ask() -> Any:
        async with connect_async(place.url, place.token) as theirs:
            client = theirs if is_async else connect(place.url, place.token)
            answer = command.python(client, runs)
            answer = await answer if isawaitable(answer) else answer
            if hasattr(answer, "run_directory"):
                waited = client.wait(answer.id)
                answer = await waited if isawaitable(waited) else waited
            return answer

    text = json.dumps(wire.encode(asyncio.run(ask())))
    assert [word for word in command.says if word not in text] == []


def _refused(place: JupyterProcess, spec: dict[str, Any]) -> str:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        place.api("POST", "tasks", {"kind": "workflow", "spec": spec})
    with refusal.value as answer:
        assert answer.code == 422
        message: str = json.loads(answer.read())["message"]
    return message


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_input_is_refused_at_each_door(
    place: JupyterProcess, session: NotebookSession, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words everywhere, soon, and nothing is left: no task, and no server that hangs."""
    monkeypatch.chdir(place.root)
    mistake, file = MISTAKES[name], _file(name)
    before = place.api("GET", "tasks")["tasks"]

    shell = _shell(place, "run", file)
    assert (shell.returncode, shell.stdout) == (2, "")
    assert mistake.says in shell.stderr
    assert "Traceback" not in shell.stderr
    for spec in ({"path": file}, {"source": mistake.source}):
        assert mistake.says in _refused(place, spec)
    for cell in (f"%opspawn workflow run {file}", f"%%opspawn workflow\n{mistake.source}"):
        with pytest.raises(CellFailed) as failure:
            _cell(session, cell)
        assert mistake.says in str(failure.value)
    with pytest.raises(errors.InvalidRequest):
        connect(place.url, place.token).run_workflow(file)
    assert place.api("GET", "tasks")["tasks"] == before


@pytest.mark.parametrize(
    ("file", "says"),
    [("latin.yaml", "is not UTF-8"), ("zero.yaml", "not a regular file"), (".", "directory")],
)
def test_what_is_no_text_is_refused_at_each_door(
    place: JupyterProcess, session: NotebookSession, file: str, says: str
) -> None:
    """Such files have no text that a cell could hold."""
    shell = _shell(place, "validate", file)
    assert (shell.returncode, says in shell.stderr) == (2, True)
    assert says in _refused(place, {"path": file})
    with pytest.raises(CellFailed, match=says):
        _cell(session, f"%opspawn workflow validate {file}")


@pytest.mark.parametrize(
    "words",
    [
        "show deadbeef",
        "explain deadbeef",
        "repair deadbeef",
        "rerun deadbeef --from x",
        "compare deadbeef deadbeef",
        "compare {good}",
        "repair {good}",
        "rerun {good} --from nothing",
        "run nothing.yaml",
    ],
)
def test_a_run_that_cannot_be_meant_is_named_in_the_shell_and_in_a_cell(
    place: JupyterProcess, session: NotebookSession, runs: dict[str, str], words: str
) -> None:
    """One sentence that says what to do, and the same in both."""
    said = words.format(**runs)
    shell = _shell(place, *said.split())

    assert (shell.returncode, shell.stdout, shell.stderr.count("\n")) == (2, "", 1)
    with pytest.raises(CellFailed) as failure:
        _cell(session, f"%opspawn workflow {said}")
    assert str(failure.value).partition(": ")[2] == shell.stderr.removeprefix("opspawn: ").strip()


def test_a_parameter_that_is_not_declared_is_named_with_its_place(
    place: JupyterProcess, runs: dict[str, str]
) -> None:
    """A rerun with a misspelt parameter would do the same again."""
    shell = _shell(place, "rerun", runs["good"], "-p", "nothing=1")

    assert (shell.returncode, shell.stdout) == (2, "")
    assert "flow.yaml:3:1: there is no parameter of this name: 'nothing'" in shell.stderr


def test_the_examples_are_copied_by_the_shell_and_by_a_cell(
    place: JupyterProcess, session: NotebookSession
) -> None:
    """The first thing that the tutorial says; it needs no server."""
    assert _shell(place, "copy-example", "one").returncode == 0
    _cell(session, "%opspawn workflow copy-example two")
    again = _shell(place, "copy-example", "one")

    names = [{path.name for path in Path(place.root, name).iterdir()} for name in ("one", "two")]
    assert names[0] == names[1] >= {"penguins_report.yaml", "greeting.yaml"}
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
