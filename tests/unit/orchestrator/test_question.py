"""Questions: asked once, answered once, withdrawn when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest, QuestionNotFound
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.question import Answer, Question, QuestionState
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.work import ReportedEvent, TakeRequest
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.question import (
    answer,
    answered,
    ask,
    find_question,
    questions,
    withdraw,
)
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.orchestrator.take import take
from tests.unit.orchestrator.stage import (
    CELL,
    PLANNED,
    STARTED,
    Scenario,
    note,
    of,
    reported,
    started,
)

Play = Callable[[Scenario], None]
YES = Answer(answer="yes", comment="seen")


def a_question(**changes: object) -> Question:
    return replace(
        Question(id=new_id(), text="May the tool write?", asked_at=clock.now()),
        **changes,  # type: ignore[arg-type]
    )


def test_a_question_is_asked_once_and_answered_once(play: Play) -> None:
    """Whoever asks may repeat itself; of two people the second learns what the first said."""

    async def scenario(o: Orchestration) -> None:
        question = await ask(o, a_question())
        assert await ask(o, question) == question
        assert await questions(o) == (question,)

        given = await answer(o, question.id[-8:], YES, "ada")

        assert (given.state, given.answered_by, given.is_approved) == ("answered", "ada", True)
        assert await questions(o) == ()
        assert await questions(o, is_open=None) == (given,)
        with pytest.raises(IllegalTransition, match="it was answered by ada: yes"):
            await answer(o, question.id, Answer(answer="no"), "bob")

    play(scenario)


def test_whoever_waits_is_woken_by_the_answer(play: Play) -> None:

    async def scenario(o: Orchestration) -> None:
        question = await ask(o, a_question())
        waiting = asyncio.create_task(answered(o, question.id, 60))
        await asyncio.sleep(0)

        await answer(o, question.id, YES, "ada")

        assert (await waiting).is_approved
        assert (await answered(o, question.id, 60)).is_approved

    play(scenario)


def test_a_wait_ends_without_an_answer(play: Play) -> None:

    async def scenario(o: Orchestration) -> None:
        question = await ask(o, a_question())

        assert (await answered(o, question.id, 0.01)).state is QuestionState.OPEN

    play(scenario)


def test_the_end_of_its_task_withdraws_a_question(play: Play) -> None:

    async def scenario(o: Orchestration) -> None:
        task, _ = await submit(o, note(), "ada")
        question = await ask(o, a_question(task_id=task.id))
        other = await ask(o, a_question())

        await cancel(o, task.id, "ada")

        assert (await find_question(o, question.id)).state is QuestionState.WITHDRAWN
        assert await questions(o) == (other,)
        await withdraw(o, question.id)
        with pytest.raises(IllegalTransition, match="withdrawn"):
            await answer(o, question.id, YES, "ada")

    play(scenario)


def test_an_answer_must_be_one_of_the_choices(play: Play) -> None:

    async def scenario(o: Orchestration) -> None:
        question = await ask(o, a_question())
        free = await ask(o, a_question(choices=()))

        with pytest.raises(InvalidRequest, match="answer one of yes, no"):
            await answer(o, question.id, Answer(answer="maybe"), "ada")
        assert (await answer(o, free.id, Answer(answer="maybe"), "ada")).answer == "maybe"
        with pytest.raises(QuestionNotFound):
            await find_question(o, "00000000")
        with pytest.raises(QuestionNotFound, match="at least"):
            await find_question(o, "0")

    play(scenario)


def asked_by_worker(question: Question) -> ReportedEvent:
    return reported(
        EventType.WAITING, 4, question=question.id, asked=wire.encode(question), reason="tool"
    )


def test_a_worker_asks_leaves_the_task_and_the_next_attempt_has_the_answer(play: Play) -> None:
    """A person may take days: nobody holds a worker meanwhile, and a repeated report asks once."""
    question = a_question()

    async def scenario(o: Orchestration) -> None:
        task = await started(o)
        for _ in range(2):
            await report(o, "w", of(task, STARTED, PLANNED, CELL, asked_by_worker(question)))
        waiting = await find(o, task.id)
        assert (waiting.state, waiting.question) == (State.WAITING, question.id)
        assert [one.id for one in await questions(o, task_id=task.id)] == [question.id]

        given = await answer(o, question.id, YES, "ada")
        taken = await take(o, "w", TakeRequest(free_slots=1, wait_seconds=0))

        assert [one.attempt for one in taken.assignments] == [2]
        assert taken.assignments[0].questions == (given,)

    play(scenario)


def test_a_refused_start_skips_the_task(play: Play) -> None:
    async def scenario(o: Orchestration) -> None:
        later = clock.now() + timedelta(hours=1)
        task, _ = await submit(o, note(policy=Policy(not_before=later)), "ada")
        question = await ask(o, a_question(task_id=task.id))
        waiting = Draft(task_id=task.id, type=EventType.WAITING, data={"question": question.id})
        await o.record(waiting)

        await answer(o, question.id, Answer(answer="no", comment="too dear"), "bob")

        skipped = await find(o, task.id)
        assert skipped.error is not None
        assert skipped.state is State.SKIPPED
        assert skipped.error.message == "bob answered 'no' to 'May the tool write?': too dear"

    play(scenario)
