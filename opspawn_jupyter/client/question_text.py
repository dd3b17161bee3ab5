"""Questions as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.client.task_text import brief, columns
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.question import LOGIN_ADDRESS, Question, QuestionState

_LONGEST_TEXT = 80
QUESTION_HEADINGS = ("id", "state", "question", "task", "asked (UTC)")


def question_card(question: Question) -> str:
    """All that matters for the answer, and the answer."""
    lines = [
        f"{question.text}",
        *(
            f"  {name} = {brief(value)}"
            for name, value in question.detail.items()
            if name != LOGIN_ADDRESS  # the text has it, whole
        ),
        _stand(question),
    ]
    return "\n".join(lines)


def _stand(question: Question) -> str:
    if question.state is QuestionState.OPEN:
        choices = "|".join(question.choices) or "TEXT"
        return f"open; answer with: opspawn answer {short(question.id)} {choices}"
    if question.state is QuestionState.WITHDRAWN:
        return "withdrawn: nobody waits for an answer any more"
    why = f" ({question.comment})" if question.comment else ""
    return f"answered by {question.answered_by}: {brief(question.answer)}{why}"


def question_list(questions: Sequence[Question]) -> str:
    """A line for each question, under a heading."""
    if not questions:
        return "no open questions"
    table = columns(QUESTION_HEADINGS, [question_row(question) for question in questions])
    return "\n".join([table, *(f"{short(id)}: {url}" for id, _, url in logins(questions))])


def logins(questions: Sequence[Question]) -> list[tuple[str, str, str]]:
    """Id, server and address of each open one that wants somebody to log in: in a table it would
    be cut."""
    return [
        (one.id, str(one.detail.get("server", "")), str(one.detail[LOGIN_ADDRESS]))
        for one in questions
        if LOGIN_ADDRESS in one.detail and one.state is QuestionState.OPEN
    ]


def question_row(question: Question) -> tuple[str, ...]:
    """The question's values under ``QUESTION_HEADINGS``."""
    return (
        short(question.id),
        question.state.value,
        brief(question.text, _LONGEST_TEXT),
        short(question.task_id),
        f"{question.asked_at:%Y-%m-%d %H:%M:%S}",
    )
