"""Logins to tool servers: what people are asked for them. The logins themselves are the tool
broker's."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from opspawn_jupyter.errors import IllegalTransition
from opspawn_jupyter.model import clock
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.question import (
    LOGIN_ADDRESS,
    NO,
    Answer,
    Question,
    QuestionState,
)
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import (
    answered,
    ask,
    questions,
    settle,
    withdraw,
)

logger = logging.getLogger(__name__)

#: How long one look at a question lasts; a longer wait is several.
_LOOK_SECONDS = 60.0
_DONE = "logged in"


async def log_in(
    o: Orchestration, principal: Principal, server: str, url: str, outcome: asyncio.Future[str]
) -> None:
    """Ask somebody to log in, until the outcome is there (nothing, or what went wrong) or they
    refuse. The address holds no secret: what comes back counts once, and for this user alone."""
    question = Question(
        id=new_id(),
        text=f"{server} wants you to log in: {url}",
        detail={"server": server, LOGIN_ADDRESS: url},
        choices=(NO,),
        task_id=principal.task_id or "",
        asked_by=principal.user,
        asked_at=clock.now(),
    )
    await ask(o, question)
    refusal = asyncio.ensure_future(_closed(o, question.id))
    try:
        either: set[asyncio.Future[Any]] = {refusal, outcome}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        refusal.cancel()
    if outcome.done():
        await _close(o, question.id, is_done=not outcome.result(), by=principal.user)


async def withdraw_logins(o: Orchestration) -> None:
    """Nobody waits any more for those that another process of this server asked for."""
    for question in await questions(o):
        if LOGIN_ADDRESS in question.detail:
            await withdraw(o, question.id)


async def _close(o: Orchestration, question_id: str, *, is_done: bool, by: str) -> None:
    if not is_done:
        await withdraw(o, question_id)
        return
    try:
        await settle(o, question_id, Answer(answer=_DONE), by)
    except IllegalTransition:
        logger.debug("login was refused as it was done question_id=%s", question_id)


async def _closed(o: Orchestration, question_id: str) -> None:
    while (await answered(o, question_id, _LOOK_SECONDS)).state is QuestionState.OPEN:
        pass
