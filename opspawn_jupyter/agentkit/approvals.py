"""Asking people, by way of the server: the questions of this task, with the answers so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opspawn_jupyter.agentkit.agent import Approval
from opspawn_jupyter.agentkit.waiting import Waits
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.question import Question

#: Where a question says which call it is about.
_KEY = "call"


class QuestionApprovals:
    """Answers that the attempt was handed; for all other questions the run has to wait."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self._answered = {
            question.detail[_KEY]: question
            for question in questions
            if question.answer is not None and _KEY in question.detail
        }

    async def ask(self, question: str, key: str, detail: Mapping[str, Any]) -> Approval:
        """See ``agent.Approvals``."""
        found = self._answered.get(key)
        if found is None:
            details = {**detail, _KEY: key}
            asked = Question(id=new_id(), text=question, detail=details, asked_at=now())
            raise Waits(question, {"question": asked.id, "asked": wire.encode(asked)})
        return Approval(
            is_given=found.is_approved,
            by=found.answered_by,
            at=f"{found.answered_at:%Y-%m-%d %H:%M} UTC" if found.answered_at else "",
            comment=found.comment,
        )
