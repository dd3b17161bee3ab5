"""The built-in plugins, called as their steps call them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.client.inputs import StepInputs
from opspawn_jupyter.plugins import configuration, registry
from opspawn_jupyter.plugins.context import Context

CSV = "name,mass,length\na,1.5,10\nb,,20\nc,3.5,60\n"


def run(name: str, **config: Any) -> Mapping[str, Any]:
    """What the plugin gives, without steps before it."""
    plugin = registry.load(name)
    given: Mapping[str, Any] = plugin.run(
        configuration.checked(name, plugin, config), Context(StepInputs(None))
    )
    return given


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The step's working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_command_gives_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    given = run("shell", command="echo out; echo err >&2; echo $WORD", env={"WORD": "there"})

    assert given == {"stdout": "out\nthere\n", "stderr": "err\n", "returncode": 0}
    assert capsys.readouterr().out == "out\nthere\n"


def test_a_program_is_given_its_arguments_without_a_shell() -> None:
    assert run("shell", command=["echo", "$HOME;", "a b"])["stdout"] == "$HOME; a b\n"


def test_an_exit_code_is_a_failure_unless_the_step_wants_it() -> None:
    """The ancestor went on after a command that failed."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("shell", command="echo half; exit 3")

    assert (caught.value.returncode, caught.value.stdout) == (3, "half\n")
    assert run("shell", command="exit 3", check=False)["returncode"] == 3


def test_a_command_that_prints_without_end_does_not_fill_the_memory() -> None:
    text = run("shell", command="yes 123456789 | head -c 3000000")["stdout"]

    assert len(text) == 1 << 20
    assert text.endswith("123456789\n")


@pytest.mark.parametrize("function", ["operator:add", "math:pow", "builtins:max"])
def test_a_function_written_in_c_gets_no_context(function: str) -> None:
    """Some tell their parameters, some do not."""
    assert run("python_function", function=function, args=[1, 3])["result"] in (1, 3, 4)


def test_a_function_of_the_working_directory_is_called(here: Path) -> None:
    (here / "own_functions.py").write_text(
        "def add(a, b=0, *, context=None):\n    return a + b, sorted(context)\n"
        "async def later(x):\n    return x * 2\n"
        "class Box:\n    size = 3\n    @staticmethod\n    def open():\n        return Box.size\n"
    )

    assert run("python_function", function="own_functions:add", args=[1], kwargs={"b": 2}) == {
        "result": (3, [])
    }
    assert run("python_function", function="own_functions:later", args=[4]) == {"result": 8}
    assert run("python_function", function="own_functions:Box.open") == {"result": 3}
    with pytest.raises(TypeError, match="is no function but int"):
        run("python_function", function="own_functions:Box.size")


def test_a_file_becomes_a_table(here: Path) -> None:
    (here / "data.csv").write_text(CSV)

    whole = run("csv_ingest", path="data.csv")
    part = run("csv_ingest", path="data.csv", columns=["length", "name"])

    assert (whole["rows"], whole["columns"]) == (3, ["name", "mass", "length"])
    assert list(part["dataframe"].columns) == ["length", "name"]


def test_figures_are_those_of_the_numbers_that_are_there(here: Path) -> None:
    (here / "data.csv").write_text(CSV)

    figures = run("metrics", path="data.csv")

    assert list(figures) == ["mass", "length"]
    assert figures["mass"] == {
        "mean": 2.5, "median": 2.5, "std": pytest.approx(1.41421356), "min": 1.5, "max": 3.5,
        "count": 2,
    }  # fmt: skip
    assert figures["length"]["mean"] == 30
    assert list(run("metrics", path="data.csv", numeric_columns=["length"])) == ["length"]
    with pytest.raises(ValueError, match="no numeric columns: name; numeric are mass, length"):
        run("metrics", path="data.csv", numeric_columns=["name"])


def test_figures_of_a_column_without_numbers_are_json(here: Path) -> None:
    """NaN is none, and would be refused later with less to go by."""
    (here / "data.csv").write_text("n\n\n", newline="")
    (here / "data.csv").write_text("n,m\n,1\n")

    assert run("metrics", path="data.csv")["n"]["mean"] is None


def test_a_history_grows_and_loses_nothing_to_those_who_write_beside(here: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: run("metrics_history", path="h.json", metrics={"n": n}), range(24)))

    history = json.loads((here / "h.json").read_bytes())
    assert sorted(entry["metrics"]["n"] for entry in history) == list(range(24))
    assert all(entry["timestamp"].endswith("+00:00") for entry in history)


def test_a_file_that_is_no_history_is_left_alone(here: Path) -> None:
    (here / "h.json").write_text('{"mine": 1}')

    with pytest.raises(TypeError, match="holds no list"):
        run("metrics_history", path="h.json", metrics={})

    assert (here / "h.json").read_text() == '{"mine": 1}'


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """An HTTP interface that answers 201, or 403 without the key; and what it was told."""
    told: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers.get("X-API-Key"), json.loads(body)))
            self.send_response(201 if self.headers.get("X-API-Key") == "s3cret" else 403)
            self.end_headers()
            self.wfile.write(b'{"score": 7}')

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/score", told
    server.shutdown()
    server.server_close()


def test_an_interface_is_told_with_a_secret_that_the_step_does_not_hold(
    listener: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = listener
    monkeypatch.setenv("LEADS_KEY", "s3cret")
    headers = {"X-API-Key": "${secret:LEADS_KEY}"}

    given = run("http_post", url=url, body={"name": "A"}, headers=headers)

    assert given == {"status": 201, "answer": {"score": 7}}
    assert told == [("s3cret", {"name": "A"})]


def test_a_refusal_is_a_failure_that_tells_the_answer(listener: tuple[str, list[Any]]) -> None:
    with pytest.raises(ConnectionError, match=r"answered 403: \{'score': 7\}"):
        run("http_post", url=listener[0], body=1)
    with pytest.raises(LookupError, match="the secret NOT_THERE is not set"):
        run("http_post", url=listener[0], headers={"X": "${secret:NOT_THERE}"})
