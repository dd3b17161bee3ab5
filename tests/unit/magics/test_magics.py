"""``%opspawn`` in a shell of IPython."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output

from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.model.states import EventType, State


@pytest.fixture
def shell(stand_in: Any) -> Iterator[InteractiveShell]:
    one = InteractiveShell.instance()
    one.run_line_magic("load_ext", "opspawn_jupyter")
    yield one
    one.run_line_magic("unload_ext", "opspawn_jupyter")


def run(shell: InteractiveShell, cell: str) -> tuple[Any, CapturedIO]:
    """What a cell gives, and what it shows."""
    with capture_output() as shown:
        result = shell.run_cell(cell)
    return result.result, shown


def sent(stand_in: Any) -> dict[str, Any]:
    """The last submission."""
    return [body for _, path, body in stand_in.requests if path == "tasks" and body][-1]


def test_a_run_returns_at_once_with_a_card(shell: InteractiveShell, stand_in: Any) -> None:
    task, _ = run(shell, "%opspawn run nb.ipynb -p region=EU -p year=2026")

    assert isinstance(task, TaskHandle)
    assert task.state is State.QUEUED
    assert sent(stand_in)["spec"]["parameters_text"] == {"region": "EU", "year": "2026"}
    bundle = shell.display_formatter.format(task)[0]
    assert "queued" in bundle["text/plain"]
    assert "queued" in bundle["text/html"]


def test_variables_stand_in_the_line_and_json_is_left_alone(
    shell: InteractiveShell, stand_in: Any
) -> None:
    """IPython's own expansion turns {"a": 5} into something else, and splits values at blanks."""
    shell.user_ns["where"] = "two words"
    shell.user_ns["number"] = 3 + 0j
    values = ["a={where}", "b=$where", """'c={"a": 5}'""", "d={no}", "e={number.real}"]
    line = " ".join(f"-p {value}" for value in values)

    run(shell, f"%opspawn run nb.ipynb {line}")

    assert sent(stand_in)["spec"]["parameters_text"] == {
        "a": "two words",
        "b": "two words",
        "c": '{"a": 5}',
        "d": "{no}",
        "e": "3.0",
    }


def test_a_cell_runs_as_a_notebook_of_its_own(
    shell: InteractiveShell, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stand_in.root)

    task, _ = run(shell, "%%opspawn run -p n=3 -p who=Ada\nprint(n)\nprint(who)\n")

    spec = sent(stand_in)["spec"]
    parameters, code = spec["content"]["cells"]
    assert task.name == "cell"
    assert (parameters["source"], parameters["metadata"]) == (
        "n = 3\nwho = 'Ada'",
        {"tags": ["parameters"]},
    )
    assert code["source"].strip() == "print(n)\nprint(who)"
    assert spec["working_directory"] == str(stand_in.root)
    assert spec["parameters_text"] == {}
    assert spec["notebook"] is None


def test_a_cell_is_the_command_or_the_configuration_of_a_step(
    shell: InteractiveShell, stand_in: Any
) -> None:
    task, _ = run(shell, "%%opspawn step shell --name list\nls -l | wc -l\n")

    submission = sent(stand_in)
    assert isinstance(task, TaskHandle)
    assert (submission["kind"], submission["name"]) == ("shell", "list")
    assert submission["spec"]["command"] == "ls -l | wc -l\n"

    run(shell, '%%opspawn step csv_ingest -p delimiter=;\n{"path": "a.csv"}')

    spec = sent(stand_in)["spec"]
    assert (spec["path"], spec["config_text"]) == ("a.csv", {"delimiter": ";"})


@pytest.mark.parametrize("body", ["path: a.csv", "[1]"])
def test_a_cell_that_is_no_configuration_is_refused(
    shell: InteractiveShell, stand_in: Any, body: str
) -> None:
    _, shown = run(shell, f"%%opspawn step csv_ingest\n{body}")

    assert "the cell below is" in shown.stdout + shown.stderr
    assert not stand_in.requests


def test_a_cell_of_another_language_takes_no_python_parameters(
    shell: InteractiveShell, stand_in: Any
) -> None:
    _, shown = run(shell, "%%opspawn run --kernel bash -p n=3\necho $n\n")
    assert "UsageError" in shown.stdout

    run(shell, "%%opspawn run --kernel bash\necho 1\n")
    metadata = sent(stand_in)["spec"]["content"]["metadata"]
    assert metadata == {"kernelspec": {"name": "bash", "display_name": "bash"}}


def test_with_wait_the_outputs_come_into_the_cell(
    shell: InteractiveShell, stand_in: Any, stories: Any
) -> None:
    rich = {"output_type": "display_data", "data": {"text/plain": "a plot"}, "metadata": {}}
    shows = (EventType.CELL_OUTPUT, {"index": 1, "output_number": 2, "output": rich})
    stand_in.story = [*stories["success"][:4], shows, *stories["success"][4:]]

    task, shown = run(shell, "task = %opspawn run nb.ipynb --wait\ntask")

    assert task.result() == {"rows": 3}
    assert "loaded 3 rows\n" in shown.stdout
    assert shown.outputs[0].data == {"text/plain": "a plot"}


def test_a_display_is_updated_in_its_place(shell: InteractiveShell, stand_in: Any) -> None:
    """A progress bar of the background notebook must not fill the page."""
    from opspawn_magics.waiting import _Screen

    screen = _Screen("task")
    task = stand_in.submitted()
    stand_in.happen(task.id, EventType.STARTED)
    for number in (1, 2):
        output = {"output_type": "display_data", "data": {"text/plain": str(number)}}
        stand_in.happen(
            task.id,
            EventType.CELL_OUTPUT,
            index=1,
            output_number=number,
            update="bar",
            output=output,
        )

    with capture_output() as shown:
        for event in stand_in.events[-2:]:
            screen.show(event)

    first, second = shown._outputs
    assert (first.get("update"), second["update"]) == (False, True)
    assert first["transient"] == second["transient"] == {"display_id": "task:bar"}


def test_a_task_that_fails_fails_the_waiting_cell(
    shell: InteractiveShell, stand_in: Any, stories: Any
) -> None:
    """So that Run All stops there. The card comes first, and no traceback of ours."""
    stand_in.story = stories["failure"]

    with capture_output() as shown:
        result = shell.run_cell("%opspawn run nb.ipynb --wait")

    assert type(result.error_in_exec).__name__ == "TaskFailed"
    assert "cell 2 of 2: ValueError: <b>bad</b>" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "text/html" in shown.outputs[-1].data


def test_ctrl_c_ends_the_wait_and_says_that_the_task_goes_on(
    shell: InteractiveShell, stand_in: Any
) -> None:
    def interrupt() -> None:
        stand_in.until(lambda: bool(stand_in.listeners))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with capture_output() as shown:
        result = shell.run_cell("%opspawn run nb.ipynb --wait")

    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "goes on" in str(result.error_in_exec)
    assert "Traceback" not in shown.stdout
    (task,) = stand_in.tasks.values()
    assert task.state is State.QUEUED


@pytest.mark.parametrize(
    ("line", "name", "said"),
    [
        ("run missing.ipynb", "NotebookNotFound", "missing.ipynb"),
        ("status 12345678", "TaskNotFound", "12345678"),
        ("run a.ipynb -p x", "UsageError", "NAME=VALUE"),
        ("run 'a.ipynb", "UsageError", "No closing quotation"),
        ("run a.ipynb --serve", "UsageError", "--serve"),
    ],
)
def test_errors_are_one_clear_line(
    shell: InteractiveShell, line: str, name: str, said: str
) -> None:
    with capture_output() as shown:
        result = shell.run_cell(f"%opspawn {line}")

    assert type(result.error_in_exec).__name__ == name
    assert said in shown.stdout
    assert len(shown.stdout.strip().splitlines()) == 1


def test_an_empty_cell_is_refused(shell: InteractiveShell) -> None:
    _, shown = run(shell, "%%opspawn run\n   \n")

    assert "UsageError" in shown.stdout


def test_each_command_gives_an_object_that_shows_itself(
    shell: InteractiveShell,
    stand_in: Any,
    stories: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    stand_in.story = stories["success"]
    short = stand_in.submitted().id[-8:]

    assert run(shell, f"%opspawn status {short}")[0].state is State.SUCCESS
    assert run(shell, f"%opspawn result {short}")[0] == {"rows": 3}
    assert run(shell, f"%opspawn logs {short}")[1].stdout == stand_in.log
    assert run(shell, f"%opspawn logs {short} --follow")[1].stdout == stand_in.log
    assert run(shell, f"%opspawn notebook {short}")[0] == tmp_path / f"nb_{short}.ipynb"
    tasks, _ = run(shell, "%opspawn tasks")
    shown = shell.display_formatter.format(tasks)[0]
    assert short in shown["text/html"]
    assert shown["text/plain"].startswith("id ")
    assert [task.id[-8:] for task in tasks] == [short]
    parameters, _ = run(shell, "%opspawn params nb.ipynb")
    assert parameters._repr_mimebundle_()["text/plain"] == "year: int = 2026"
    printed = run(shell, f"%opspawn status {short} --json")[1].stdout
    assert json.loads(printed)["state"] == "success"
    cancelled = stand_in.story = []
    queued = stand_in.submitted().id
    assert cancelled == []
    assert run(shell, f"%opspawn cancel {queued}")[0].state is State.CANCELLED


def test_sql_is_written_without_quotes_around_it(shell: InteractiveShell, stand_in: Any) -> None:
    """The quotes in a query are SQL's."""
    run(shell, "%opspawn sql select * from tasks where state = 'failed'")
    run(shell, "%%opspawn sql\nselect 2\n")

    queries = [body["query"].strip() for _, path, body in stand_in.requests if path == "sql"]
    assert queries == ["select * from tasks where state = 'failed'", "select 2"]


def test_rows_become_a_data_frame_where_pandas_is(shell: InteractiveShell, stand_in: Any) -> None:
    from opspawn_jupyter.model.table import Column, Table

    pd = pytest.importorskip("pandas")
    when = Column(name="at", type="TIMESTAMP WITH TIME ZONE")
    stand_in.table = Table(columns=(when,), rows=(("2026-01-02T03:04:05+00:00",), (None,)))

    frame, _ = run(shell, "%%opspawn sql\nselect at from tasks\n")

    assert frame["at"][0] == pd.Timestamp("2026-01-02T03:04:05Z")


def test_rows_show_themselves_where_pandas_is_not(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opspawn_magics.display.find_spec", lambda _: None)

    rows, _ = run(shell, "%%opspawn sql\nselect n from tasks\n")

    assert list(rows) == [(1,), (None,)]
    assert "<td" in rows._repr_mimebundle_()["text/html"]


def test_tab_completes_commands_options_and_notebooks(
    shell: InteractiveShell, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stand_in.root)
    (stand_in.root / "sub").mkdir()
    (stand_in.root / "sales.ipynb").touch()
    (stand_in.root / "sales.csv").touch()

    def complete(line: str) -> list[str]:
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions(line, len(line))]

    assert "status" in complete("%opspawn sta")
    assert "--wait" in complete("%opspawn run a --w")
    assert {"sales.ipynb", "sub/"} <= set(complete("%opspawn run s"))
    assert "sales.csv" not in complete("%opspawn run s")
