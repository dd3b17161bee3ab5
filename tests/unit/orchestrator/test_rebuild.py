"""A history that comes back from the run directories alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opspawn_jupyter.model import task_file, wire
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task, TaskQuery
from opspawn_jupyter.model.work import ReportedEvent, ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.rebuild import Rebuilt, rebuild
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.unit.orchestrator.stage import CELL, PLANNED, STARTED, SUCCEEDED, note, of, reported

FAILED = reported(EventType.FAILED, 4, error={"name": "E", "message": "m"})


async def work(o: Orchestration, *events: ReportedEvent, attempt: int = 1, **given: object) -> Task:
    """A task that a worker tells these of, who writes them down first."""
    task, _ = await submit(o, note(**given), "ada")  # type: ignore[arg-type]  # as note takes them
    await take(o, "w", TakeRequest(free_slots=9, wait_seconds=0))
    return await tell(o, task, of(task, *events, attempt=attempt))


async def tell(o: Orchestration, task: Task, request: ReportRequest) -> Task:
    journal = RunDirectory(o.settings.root_directory / task.run_directory).events
    with journal.open("a") as file:
        for one in request.reports:
            for event in one.events:
                record = {"attempt": one.attempt, **wire.encode(event)}
                file.write(json.dumps(record) + "\n")
    await report(o, "w", request)
    return await find(o, task.id)


def rebuilt_from(root: Path, *living: str) -> tuple[Rebuilt, dict[str, Task]]:
    """What a new store holds when the old one is gone."""

    async def body() -> tuple[Rebuilt, dict[str, Task]]:
        store = await DuckDBStore.open(root / "new")
        try:
            result = await rebuild(store, root, root / "runs", living)
            page = await store.tasks(TaskQuery(limit=500))
            return result, {task.id: replace(task, seq=0) for task in page.tasks}
        finally:
            await store.close()

    shutil.rmtree(root / "new", ignore_errors=True)
    return asyncio.run(body())


def test_finished_tasks_come_back_as_they_were(play: Callable[..., None], tmp_path: Path) -> None:
    """Cells, outputs, errors, times, labels, policy and who it was."""
    before: list[Task] = []
    output = reported(EventType.STEP_OUTPUT, 4, name="rows", value=[1, 2])

    async def scenario(o: Orchestration) -> None:
        done = replace(SUCCEEDED, number=5)
        before.append(await work(o, STARTED, PLANNED, CELL, output, done, labels={"a": "b"}))
        before.append(
            await work(o, STARTED, PLANNED, CELL, FAILED, name="x", idempotency_key="once")
        )

    play(scenario)
    result, after = rebuilt_from(tmp_path)

    assert (result.tasks, result.ended, result.skipped) == (2, 0, ())
    assert after == {task.id: replace(task, seq=0) for task in before}


def test_retries_come_back_with_their_last_attempt(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """The server's decision to try again is not in the worker's journal; its next attempt is."""

    async def scenario(o: Orchestration) -> None:
        policy = Policy(max_retries=2, retry_delay_seconds=0)
        task = await work(o, STARTED, PLANNED, CELL, FAILED, policy=policy)
        journal = RunDirectory(o.settings.root_directory / task.run_directory).events
        with journal.open("a") as file:
            # The second attempt's worker was killed, the third went well.
            for attempt, events in ((2, (STARTED, CELL)), (3, (STARTED, PLANNED, CELL, SUCCEEDED))):
                for event in events:
                    file.write(json.dumps({"attempt": attempt, **wire.encode(event)}) + "\n")

    play(scenario)
    _, after = rebuilt_from(tmp_path)

    (task,) = after.values()
    assert (task.state, task.attempt, task.error) == (State.SUCCESS, 3, None)


def test_what_has_no_end_ends(play: Callable[..., None], tmp_path: Path) -> None:
    """Nothing stays running for ever, and nothing is run that nobody expects to be run."""
    ids: list[str] = []

    async def scenario(o: Orchestration) -> None:
        ids.append((await work(o, STARTED, PLANNED, CELL)).id)
        ids.append((await submit(o, note(), "ada"))[0].id)

    play(scenario)
    result, after = rebuilt_from(tmp_path)

    assert result.ended == 2
    assert [after[id].state for id in ids] == [State.CRASHED, State.CANCELLED]
    assert "submit it again" in (after[ids[1]].error or after[ids[0]].error).message  # type: ignore[union-attr]


def test_a_living_workers_task_goes_on(play: Callable[..., None], tmp_path: Path) -> None:
    """It tells the next server how it ends."""

    async def scenario(o: Orchestration) -> None:
        await work(o, STARTED, PLANNED, CELL)

    play(scenario)
    result, after = rebuilt_from(tmp_path, "w")

    assert (result.running, result.ended) == (1, 0)
    assert [task.state for task in after.values()] == [State.RUNNING]


def test_tasks_that_share_a_file_come_back_each_as_its_own(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """Small steps have one ``task.json``, which lies in all of their directories."""
    before: list[Task] = []

    async def scenario(o: Orchestration) -> None:
        before.extend([await work(o, STARTED, SUCCEEDED, name=name) for name in ("a", "b")])

    play(scenario)
    files = [RunDirectory(tmp_path / task.run_directory).task for task in before]
    content = task_file.content([json.loads(file.read_bytes()) for file in files])
    files[0].write_bytes(content)
    files[1].unlink()
    files[1].hardlink_to(files[0])
    result, after = rebuilt_from(tmp_path)

    assert (result.tasks, result.skipped) == (2, ())
    assert after == {task.id: replace(task, seq=0) for task in before}


def test_what_user_code_may_have_written_is_not_believed(
    play: Callable[..., None], tmp_path: Path
) -> None:
    """Copies, torn lines, foreign ids and nonsense are passed over, and named."""

    async def scenario(o: Orchestration) -> None:
        task = await work(o, STARTED, PLANNED, CELL, SUCCEEDED)
        directory = o.settings.root_directory / task.run_directory
        with (directory / "events.jsonl").open("ab") as file:
            file.write(b'[]\n{"attempt": 1}\n\xff\n{"attempt": 1, "type": "task.succ')
        shutil.copytree(directory, directory.with_name(f"copy_{directory.name}"))
        shutil.copytree(directory, directory.with_name("renamed"))
        (directory.with_name("empty")).mkdir()
        bad = directory.with_name("bad")
        bad.mkdir()
        (bad / "task.json").write_text('{"id": 5}')

    play(scenario)
    result, after = rebuilt_from(tmp_path)

    assert [task.state for task in after.values()] == [State.SUCCESS]
    assert len(result.skipped) == 4
