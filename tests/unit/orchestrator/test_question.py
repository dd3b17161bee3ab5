"""Questions: asked once, answered once, withdrawn when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest, QuestionNotFound
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.question import Answer, Question, QuestionState
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import (
    answer,
    answered,
    ask,
    find_question,
    questions,
    withdraw,
)
from opspawn_jupyter.orchestrator.submit import submit
from tests.unit.orchestrator.stage import Scenario, note

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
