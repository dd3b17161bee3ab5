"""What waits for a person."""

from __future__ import annotations

from opspawn_jupyter.model.question import Answer, Question, QuestionList
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.question import (
    QuestionAnswerHandler,
    QuestionHandler,
    QuestionsHandler,
)
from opspawn_jupyter.server.route import Area, get, post, route

ROUTES = (
    route(
        "questions",
        QuestionsHandler,
        Area.QUESTIONS,
        get("What waits for a person", QuestionList, query=schemas.QuestionQuery),
    ),
    route(
        "questions/{reference}",
        QuestionHandler,
        Area.QUESTIONS,
        get("One question as it stands", Question),
    ),
    route(
        "questions/{reference}/answer",
        QuestionAnswerHandler,
        Area.QUESTIONS,
        post("Answer a question", Answer, Question),
    ),
)
