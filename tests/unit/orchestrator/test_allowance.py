"""Budgets that agents share: what is left of them."""

from __future__ import annotations

from collections.abc import Callable

from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.model.work import TakeRequest
from opspawn_jupyter.orchestrator.allowance import allowance
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.stage import STARTED, NoteKind, of, reported

REPLIED = {"model": "m", "requests": 1, "input_tokens": 7, "output_tokens": 3, "cost": 0.6}


async def agent(o: Orchestration) -> Task:
    """A task whose loop has had one reply that the history knows."""
    assert isinstance(o.kinds, dict)
    o.kinds["agent"] = NoteKind()
    task, _ = await submit(o, Submission(kind="agent", spec={"text": "?"}), "ada")
    await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))
    await report(o, "w", of(task, STARTED, reported(EventType.MODEL_REPLIED, 2, **REPLIED)))
    return await find(o, task.id)


def test_what_the_history_has_not_heard_counts_once(play: Callable[..., None]) -> None:
    """A worker that is late with its reports must not let an agent use more than there is; what it
    has reported counts no more often for being told again."""

    async def scenario(o: Orchestration) -> None:
        task = await agent(o)
        same = Usage(requests=1, input_tokens=7, output_tokens=3, cost=0.6)

        assert (await allowance(o, task, Usage())).exceeded is None
        assert (await allowance(o, task, same)).exceeded is None
        spent = await allowance(o, task, same + same)

        assert spent.exceeded == "cost"
        assert spent.hint.startswith("1.2 were used by agents of ada today, at most 1 ")

    play(scenario, agent_limits={"user_day": {"max_requests": 3, "max_cost": 1.0}})


def test_another_agent_uses_up_what_is_shared(play: Callable[..., None]) -> None:
    """What the loop that asks has used comes on top of it."""

    async def scenario(o: Orchestration) -> None:
        await agent(o)
        task = await agent(o)

        assert (await allowance(o, task, Usage(requests=1))).exceeded is None
        assert (await allowance(o, task, Usage(requests=2))).exceeded == "requests"

    play(scenario, agent_limits={"day": {"max_requests": 3}})
