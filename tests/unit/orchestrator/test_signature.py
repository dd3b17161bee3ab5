"""Signatures under audits: each has a meaning and a reason, and no author judges their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest, NotAuthorized
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.signature import Meaning, SignRequest
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.signature import Report, sign, signatures
from tests.unit.orchestrator.stage import Scenario

Play = Callable[[Scenario], None]
REPORT = Report(
    sha256="a" * 64, source_sha256="b" * 64, headline="HERMETIC", seal=lambda one: {"of": one.name}
)


def an_audit(**changes: object) -> Task:
    task = Task(
        id=new_id(),
        kind="audit",
        name="audit-a",
        state=State.SUCCESS,
        spec={},
        run_directory="opspawn_runs/a",
        submitted_by="alice",
        created_at=clock.now(),
    )
    return replace(task, **changes)  # type: ignore[arg-type]


def saying(meaning: Meaning, reason: str = "looked through") -> SignRequest:
    return SignRequest(meaning=meaning, reason=reason)


def test_a_signature_stays_with_name_time_meaning_and_reason(play: Play) -> None:
    async def scenario(o: Orchestration) -> None:
        task = an_audit()
        given = await sign(o, task, saying(Meaning.REVIEW), "bob", REPORT)

        assert (given.name, given.signed_by, given.meaning) == ("bob", "bob", Meaning.REVIEW)
        assert given.report_sha256 == REPORT.sha256
        assert await signatures(o, task) == (given,)
        (event,) = [e for e in await o.store.events() if e.type is EventType.SIGNATURE_GIVEN]
        assert event.data["content"]["reason"] == "looked through"

    play(scenario)


@pytest.mark.parametrize("meaning", [Meaning.REVIEW, Meaning.APPROVAL, Meaning.REJECTION])
def test_whoever_asked_for_an_audit_cannot_judge_it(play: Play, meaning: Meaning) -> None:
    async def scenario(o: Orchestration) -> None:
        task = an_audit()
        with pytest.raises(NotAuthorized, match="somebody else"):
            await sign(o, task, saying(meaning), "alice", REPORT)
        assert await signatures(o, task) == ()

    play(scenario)


def test_whoever_signed_as_author_cannot_review_and_the_other_way_round(play: Play) -> None:
    async def scenario(o: Orchestration) -> None:
        task = an_audit()
        await sign(o, task, saying(Meaning.AUTHOR), "carol", REPORT)
        with pytest.raises(NotAuthorized):
            await sign(o, task, saying(Meaning.REVIEW), "carol", REPORT)
        await sign(o, task, saying(Meaning.REVIEW), "bob", REPORT)
        with pytest.raises(NotAuthorized):
            await sign(o, task, saying(Meaning.AUTHOR), "bob", REPORT)

    play(scenario)


def test_nobody_says_the_same_twice_and_nobody_signs_without_a_reason(play: Play) -> None:
    async def scenario(o: Orchestration) -> None:
        task = an_audit()
        await sign(o, task, saying(Meaning.APPROVAL), "bob", REPORT)
        with pytest.raises(IllegalTransition, match="already"):
            await sign(o, task, saying(Meaning.APPROVAL), "bob", REPORT)
        with pytest.raises(InvalidRequest, match="why you sign"):
            await sign(o, task, saying(Meaning.APPROVAL, " "), "dora", REPORT)

    play(scenario)


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (an_audit(kind="notebook"), InvalidRequest),
        (an_audit(state=State.RUNNING), IllegalTransition),
    ],
)
def test_only_an_audit_that_has_its_report_is_signed(
    play: Play, task: Task, error: type[Exception]
) -> None:
    async def scenario(o: Orchestration) -> None:
        with pytest.raises(error):
            await sign(o, task, saying(Meaning.AUTHOR), "alice", REPORT)

    play(scenario)
