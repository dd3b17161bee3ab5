"""A question: something that a person is to decide before a task, a tool call or a workflow goes
on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT

#: What most questions are about: whether something may be done.
YES, NO = "yes", "no"
#: In the detail of a question that wants somebody to log in: where. Only they have it, and only it
#: is shown as a link.
LOGIN_ADDRESS = "log_in_at"


class QuestionState(StrEnum):
    """Where a question stands."""

    #: Somebody waits for the answer.
    OPEN = "open"
    ANSWERED = "answered"
    #: Nobody waits any more: its task has ended, or its time is over.
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question as it stands."""

    #: Made by ``new_id``, by whoever asks: the same question, told twice, is asked once.
    id: str
    #: One sentence that can be understood without its surroundings.
    text: str
    #: What is to be known for the answer, such as a tool's name and its arguments; never secrets.
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: Answers to choose from; where there are none, the answer is free text.
    choices: tuple[str, ...] = (YES, NO)
    #: The task that waits; empty where none does.
    task_id: str = ""
    asked_by: str = ""
    asked_at: datetime
    state: QuestionState = QuestionState.OPEN
    answer: str | None = None
    #: Why, in the words of whoever answered.
    comment: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None

    @property
    def is_approved(self) -> bool:
        """Somebody said yes."""
        return self.state is QuestionState.ANSWERED and self.answer == YES


@dataclass(frozen=True, kw_only=True)
class QuestionList:
    """Questions, newest first."""

    questions: tuple[Question, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody decides."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: One of the question's choices, or free text where it has none.
    answer: str
    comment: str = ""
