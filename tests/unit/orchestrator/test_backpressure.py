"""Very many tasks at once: order, listing, and what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import TaskQuery
from opspawn_jupyter.model.work import TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.stage import STARTED, SUCCEEDED, note, of

COUNT = 2_000


def test_two_thousand_tasks_are_listed_and_run_in_order_of_priority(
    play: Callable[..., None],
) -> None:
    """Whoever sweeps parameters submits them all at once and looks on."""

    async def scenario(o: Orchestration) -> None:
        submissions = [note(policy=Policy(priority=number % 5)) for number in range(COUNT)]
        pairs = await asyncio.gather(*(submit(o, one, "ada") for one in submissions))
        tasks = {task.id: task for task, _ in pairs}

        listed: list[str] = []
        query = TaskQuery(limit=500, states=(State.QUEUED,))
        while True:
            page = await o.store.tasks(query)
            listed += [task.id for task in page.tasks]
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
        created = {task.id: (task.created_at, task.id) for task in tasks.values()}
        assert listed == sorted(tasks, key=lambda id: created[id], reverse=True)

        priorities = []
        while len(priorities) < COUNT:
            answer = await take(o, "w", TakeRequest(free_slots=50, wait_seconds=1))
            priorities += [one.policy.priority for one in answer.assignments]
            ends = (
                report(o, "w", of(tasks[one.task_id], STARTED, replace(SUCCEEDED, number=2)))
                for one in answer.assignments
            )
            await asyncio.gather(*ends)
        assert priorities == sorted(priorities, reverse=True)
        assert await o.store.unfinished() == ()
        assert (
            len((await o.store.tasks(TaskQuery(states=(State.SUCCESS,), limit=500))).tasks) == 500
        )

    play(scenario)
