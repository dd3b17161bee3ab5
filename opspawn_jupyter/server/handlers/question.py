"""Questions: what waits for a person, and the person's answers."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.model.question import Answer, QuestionList
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.question import answer, find_question, questions
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.schemas import QuestionQuery


class QuestionsHandler(ApiHandler):
    """All questions."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give those asked for."""
        o, query = await self.orchestration(), self.query(QuestionQuery)
        browsers = (await self.service.running()).tools.browsers
        browsers.note(self.request.headers, self.base_url)  # one may be shown where to log in
        task_id = (await find(o, query.task)).id if query.task else None
        is_open = None if query.all else True
        found = await questions(o, is_open=is_open, task_id=task_id)
        await self.answer(QuestionList(questions=found))


class QuestionHandler(ApiHandler):
    """One question."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give it as it stands."""
        await self.answer(await find_question(await self.orchestration(), reference))


class QuestionAnswerHandler(ApiHandler):
    """The answer to a question."""

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Take it, unless somebody was quicker."""
        o = await self.orchestration()
        await self.answer(await answer(o, reference, await self.body(Answer), self.caller))
