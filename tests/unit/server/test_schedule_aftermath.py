"""Who is told of a schedule's recovery and of another result, and when its tasks start."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from opspawn_jupyter.buses.hooks import HookBus
from opspawn_jupyter.model.schedule import DUE_LABEL, Overlap
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.orchestrator import schedule as verbs
from opspawn_jupyter.orchestrator.schedule_loop import begin
from opspawn_jupyter.server.schedule_aftermath import Aftermath
from tests.unit.buses.test_hooks import Recorder
from tests.unit.orchestrator.schedule_stage import Clock, finish, plan, tasks
from tests.unit.orchestrator.stage import orchestration

RECOVERY, CHANGE = "https://host.example/well-again", "https://host.example/other-result"
OUTPUT = {"name": "rows"}


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_recovery_and_another_result_are_told_when_they_happen(
    tmp_path: Path, hands: Clock
) -> None:
    """Told by what the tasks before it came to, also where it was submitted before they ended."""

    async def story() -> None:
        async with orchestration(tmp_path) as o:
            recorder = Recorder()
            hooks = HookBus(o.store, tmp_path / "hooks", webhook=recorder, notifier=Recorder())
            aftermath = Aftermath(hooks)
            asked = plan(on_recovery=(RECOVERY,), on_change=(CHANGE,), overlap=Overlap.QUEUE)
            await verbs.create(o, asked, "ada")
            said: list[list[str]] = []
            (o.settings.runs_directory).mkdir(exist_ok=True)
            await hands.go(o, hours=1)
            for outcome, value in (
                ("SUCCEEDED", 1),
                ("FAILED", 1),
                ("SUCCEEDED", 1),
                ("SUCCEEDED", 1),
                ("SUCCEEDED", 2),
                ("FAILED", 2),
                ("SUCCEEDED", 3),
            ):
                await hands.go(o, hours=1)  # the next one waits already
                recorder.calls.clear()
                ended = await finish(o, EventType[outcome], **OUTPUT, value=value)
                await aftermath.settle(o, ended)
                said.append(sorted(hook.rpartition("/")[2] for hook, *_ in recorder.calls))
            assert said == [
                [],
                [],
                ["well-again"],
                [],
                ["other-result"],
                [],
                ["other-result", "well-again"],
            ]
            await hooks.close()

    asyncio.run(story())


def test_what_a_killed_server_left_undone_of_an_end_is_done_by_the_next_and_once(
    tmp_path: Path, hands: Clock
) -> None:
    """The end is accounted for in the moment before, so nobody would come back to it."""

    async def leave() -> None:
        async with orchestration(tmp_path) as o:
            asked = plan(on_recovery=(RECOVERY,), on_change=(CHANGE,), html=True)
            await verbs.create(o, asked, "ada")
            for outcome in (EventType.SUCCEEDED, EventType.FAILED, EventType.SUCCEEDED):
                await hands.go(o, hours=1)
                ended = await finish(o, outcome, **OUTPUT, value=1)
            directory = tmp_path / ended.task.run_directory
            directory.mkdir(parents=True, exist_ok=True)
            nbformat.write(nbformat.v4.new_notebook(), directory / "output.ipynb")

    async def go_on() -> None:
        async with orchestration(tmp_path) as o:
            recorder = Recorder()
            hooks = HookBus(o.store, tmp_path / "hooks", webhook=recorder, notifier=Recorder())
            aftermath = Aftermath(hooks)
            ends = await begin(o)
            assert len(ends) == 3
            for ended in ends:
                await aftermath.settle(o, ended)
            assert [hook for hook, *_ in recorder.calls] == [RECOVERY]
            assert (tmp_path / ends[-1].task.run_directory / "output.html").exists()
            assert await begin(o) == ()

    asyncio.run(leave())
    asyncio.run(go_on())


def test_jitter_puts_each_start_off_by_its_own_part_and_always_the_same(
    tmp_path: Path, hands: Clock
) -> None:
    async def story() -> None:
        async with orchestration(tmp_path) as o:
            asked = plan(jitter_seconds=600.0, overlap=Overlap.ALLOW)
            hands.time = hands.time.replace(second=0)  # looked at when it is due, and no later
            await verbs.create(o, asked, "ada")
            for _ in range(5):
                await hands.go(o, hours=1)
            delays = set()
            for task in await tasks(o):
                assert task.policy.not_before is not None
                delay = task.policy.not_before - datetime.fromisoformat(task.labels[DUE_LABEL])
                assert timedelta() < delay < timedelta(seconds=600)
                delays.add(delay)
            assert len(delays) == 5

    asyncio.run(story())
