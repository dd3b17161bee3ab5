"""What the client does with the server's answers, and without them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter import connect, connect_async, errors
from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.handle import AsyncTaskHandle, TaskHandle
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.model.states import EventType, State
from tests.stopwatch import Stopwatch


@pytest.fixture
def client(stand_in: Any) -> Iterator[Client]:
    with connect() as one:
        yield one


def test_a_notebook_runs_and_gives_its_outputs(client: Client, stand_in: Any, stories: Any) -> None:
    stand_in.story = stories["success"]

    task = client.run("nb.ipynb", parameters={"year": 2026}, name="yearly", labels={"team": "a"})

    assert task.result() == {"rows": 3}
    assert (task.state, task.name, task.error) == (State.SUCCESS, "yearly", None)
    assert [cell.state for cell in task.cells] == ["success", "success"]
    assert task.notebook == str(stand_in.root / "opspawn_runs/run yearly/output.ipynb")


def test_a_local_path_is_sent_absolute_and_others_as_given(
    client: Client, stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's directory need not be the caller's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.ipynb").touch()

    client.run("here.ipynb", working_directory="root")
    client.run("there.ipynb")

    sent = [body["spec"] for _, _, body in stand_in.requests if body]
    assert sent[0]["notebook"] == str(tmp_path / "here.ipynb")
    assert sent[0]["working_directory"] == str(tmp_path / "root")
    assert sent[1]["notebook"] == "there.ipynb"


def test_a_parameter_that_json_cannot_hold_is_refused_by_name(client: Client) -> None:
    with pytest.raises(errors.ParameterInvalid, match="'where'"):
        client.run("nb.ipynb", parameters={"where": object()})


@pytest.mark.parametrize(
    ("story", "error"), [("failure", errors.TaskFailed), ("crash", errors.TaskCrashed)]
)
def test_a_task_without_success_raises_its_outcome(
    client: Client, stand_in: Any, stories: Any, story: str, error: type[Exception]
) -> None:
    """The cell is counted as a person counts: the second code cell of two."""
    stand_in.story = stories[story]

    with pytest.raises(error, match="cell 2 of 2"):
        client.run("nb.ipynb").result()


def test_a_wait_ends_when_its_time_is_over(client: Client, stand_in: Any) -> None:
    task = client.attach(stand_in.submitted())

    assert task.wait(0.05) is task
    assert task.state is State.QUEUED
    with pytest.raises(errors.TaskNotFinished):
        task.result(0.05)


def test_events_come_once_each_through_broken_streams(
    client: Client, stand_in: Any, stories: Any
) -> None:
    """A laptop that slept takes the story up where it stopped; outputs are sent twice then."""
    task = client.attach(stand_in.submitted())
    seen = []

    for number, event in enumerate(task.follow()):
        seen.append(event.type)
        if number == 1:
            stand_in.play(task.id, stories["success"][:5])
        if number == 4:
            stand_in.drop_streams()
        if event.type is EventType.CELL_FINISHED and stand_in.tasks[task.id].cells_done == 1:
            stand_in.drop_streams()
            stand_in.play(task.id, stories["success"][5:])

    assert seen == [EventType.SUBMITTED, EventType.QUEUED, *(one for one, _ in stories["success"])]
    assert task.task == stand_in.tasks[task.id]


def test_a_wait_outlives_a_restart_on_another_port(
    client: Client, stand_in: Any, stories: Any, runtime_directory: Path
) -> None:
    """Jupyter takes the next free port; whoever waits need not know."""
    task = client.attach(stand_in.submitted())
    waiting = threading.Thread(target=task.wait)
    waiting.start()
    stand_in.until(lambda: bool(stand_in.listeners))

    stand_in.stop()
    old = stand_in.port
    stand_in.start()
    stand_in.describe_in(runtime_directory)
    stand_in.play(task.id, stories["success"])
    waiting.join(20)

    assert not waiting.is_alive()
    assert task.state is State.SUCCESS
    assert stand_in.port != old
    assert client.server.url == stand_in.url


def test_ctrl_c_ends_the_wait_and_not_the_task(client: Client, stand_in: Any) -> None:
    task = client.attach(stand_in.submitted())

    def interrupt() -> None:
        stand_in.until(lambda: bool(stand_in.listeners))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        task.wait()

    assert task.refresh().state is State.QUEUED
    stand_in.until(lambda: not stand_in.listeners)


def test_a_listener_who_leaves_closes_the_stream(client: Client, stand_in: Any) -> None:
    events = client.attach(stand_in.submitted()).follow()
    next(events)

    events.close()

    stand_in.until(lambda: not stand_in.listeners)


def test_the_server_that_stays_away_is_reported(client: Client, stand_in: Any) -> None:
    stand_in.stop()
    try:
        with pytest.raises(errors.ServerUnreachable, match="does not answer"):
            client.tasks()
    finally:
        stand_in.start()


def test_the_servers_error_is_raised_here(client: Client) -> None:
    with pytest.raises(errors.NotebookNotFound, match=r"missing\.ipynb"):
        client.run("missing.ipynb")
    with pytest.raises(errors.TaskNotFound, match="12345678"):
        client.find("12345678")


@pytest.mark.parametrize("reference", ["", "../health", "a/b", "x y"])
def test_what_can_be_no_id_is_not_asked_for(client: Client, stand_in: Any, reference: str) -> None:
    """It would name another route."""
    with pytest.raises(errors.TaskNotFound):
        client.task(reference)
    assert stand_in.requests == []


def test_a_wrong_token_is_said_and_never_shown(stand_in: Any) -> None:
    client = connect(stand_in.url, token="wrong-one")

    with pytest.raises(errors.NotAuthenticated) as caught:
        client.tasks()

    shown = f"{caught.value!r} {client!r} {client.server!r} {vars(client)!r}"
    assert "wrong-one" not in shown


def test_every_route_has_its_method(client: Client, stand_in: Any, stories: Any) -> None:
    stand_in.story = stories["success"]
    task = client.run("nb.ipynb")

    assert client.find(task.id[-8:]).id == task.id
    assert [one.id for one in client.tasks().tasks] == [task.id]
    assert task.logs() == "first line\nsecond line\n"
    assert task.logs(tail=1) == "second line\n"
    assert "".join(client.follow_logs(task.id)) == stand_in.log
    assert client.result(task.id) == {"rows": 3}
    assert client.wait(task.id).state is State.SUCCESS
    assert client.events(task.id)[-1].type is EventType.SUCCEEDED
    assert client.notebook(task.id) == b"{}"
    assert [one.path for one in client.artifacts(task.id)] == ["a b.png"]
    assert client.sql("select 1").rows == ((1,), (None,))
    assert [one.name for one in client.parameters("nb.ipynb")] == ["year"]
    assert client.health().status == "ok"
    assert client.attach(stand_in.tasks[task.id]).id == task.id


def test_a_queued_task_is_cancelled(client: Client, stand_in: Any) -> None:
    task = client.attach(stand_in.submitted())

    assert task.cancel().state is State.CANCELLED
    with pytest.raises(errors.TaskCancelled):
        task.result()


def test_async_callers_await_the_same_things(stand_in: Any, stories: Any) -> None:
    stand_in.story = stories["success"]

    async def work() -> tuple[AsyncTaskHandle, dict[str, Any]]:
        async with connect_async() as client:
            task = await client.run("nb.ipynb")
            return task, await task.result()

    task, outputs = asyncio.run(work())

    assert outputs == {"rows": 3}
    assert task.state is State.SUCCESS


def test_the_sync_client_works_inside_a_running_loop(stand_in: Any, stories: Any) -> None:
    """Every cell of a notebook runs inside one."""
    stand_in.story = stories["success"]

    async def cell() -> dict[str, Any]:
        return connect().run("nb.ipynb").result()

    assert asyncio.run(cell()) == {"rows": 3}


def test_a_picture_is_shown_even_when_nobody_answers(client: Client, stand_in: Any) -> None:
    """A notebook must be displayed whatever the server does."""
    task = client.attach(stand_in.submitted())
    stand_in.stop()
    watch = Stopwatch()
    try:
        bundle = task._repr_mimebundle_()
    finally:
        stand_in.start()

    assert "queued" in bundle["text/plain"]
    assert watch.seconds < 5


def test_sync_and_async_handles_offer_the_same() -> None:
    """A method that is added to one must not be missing from the other."""

    def names(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert names(TaskHandle) == names(AsyncTaskHandle)


def test_many_submissions_at_once_share_a_few_connections(stand_in: Any) -> None:
    """To open one for each takes both sides longer than to take the tasks in."""
    opened = set()
    stand_in.on_request = lambda request: opened.add(id(request.connection.stream))

    async def submit_all() -> int:
        async with connect_async() as client:
            submission = notebook_submission("nb.ipynb")
            tasks = await asyncio.gather(*(client.submit(submission) for _ in range(40)))
            return len({task.id for task in tasks})

    assert asyncio.run(submit_all()) == 40
    assert 1 <= len(opened) <= 20
