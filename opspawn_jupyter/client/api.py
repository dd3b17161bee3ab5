"""The server's routes as typed methods: one method, one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from typing import Any, Self
from urllib.parse import quote

from opspawn_jupyter import errors
from opspawn_jupyter.client import discovery
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.note_api import NoteApi
from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.client.task_paths import REFERENCE, listing_query, task_path
from opspawn_jupyter.client.tool_api import ToolApi
from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import ResumeRequest
from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.model.lineage import Lineage
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.plugin import PluginInfo, PluginList
from opspawn_jupyter.model.question import Answer, Question, QuestionList
from opspawn_jupyter.model.retention import Pruned, PruneRequest
from opspawn_jupyter.model.signature import Meaning, Signature, SignatureList
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Submission, Task, TaskPage, TaskQuery
from opspawn_jupyter.model.workflow import WorkflowCheck, WorkflowRequest
from opspawn_jupyter.model.workflow_view import Comparison, RerunRequest, WorkflowView

_LOG_POLL_SECONDS = 0.3
#: How many tasks are submitted at once. The server takes them in one by one: with more it would
#: only have more connections to open, which takes as long as to take a task in.
_SUBMISSIONS = 8
_SQL_TIMEOUT_SECONDS = 600.0
_PRUNE_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a task left."""

    #: Relative to the task's artifacts.
    path: str
    size_bytes: int


class Api(ToolApi, NoteApi):
    """Requests to one server. Belongs to the event loop in which it is first used.

    A server of this machine that comes back on another port after a restart is found again.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._transport: Transport | None = None
        self._submitting = asyncio.Semaphore(_SUBMISSIONS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.server.url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def submit(self, submission: Submission) -> Task:
        """The task, accepted and durable. Raises ``InvalidRequest`` or ``NotFound`` where it
        cannot be run as asked; nothing is stored then."""
        async with self._submitting:
            answer = await self._connected().call("POST", "tasks", body=wire.encode(submission))
        return wire.decode(Task, answer)

    async def task(self, reference: str) -> Task:
        """The task as it stands now. ``reference``: its id, or the unique end of it."""
        return wire.decode(Task, await self._get(task_path(reference)))

    async def tasks(self, query: TaskQuery | None = None) -> TaskPage:
        """One page of tasks, newest first where the query does not say otherwise."""
        return wire.decode(TaskPage, await self._get("tasks", listing_query(query or TaskQuery())))

    async def cancel(self, reference: str) -> Task:
        """The task, asked to end. Raises ``IllegalTransition`` where it has ended already."""
        answer = await self._connected().call("POST", f"{task_path(reference)}/cancel")
        return wire.decode(Task, answer)

    async def retry(self, reference: str) -> Task:
        """A new task that does the same as one that ended without success. Raises
        ``IllegalTransition`` where it has not ended or has succeeded."""
        answer = await self._connected().call("POST", f"{task_path(reference)}/retry")
        return wire.decode(Task, answer)

    async def resume(self, reference: str, request: ResumeRequest | None = None) -> Task:
        """A new task that begins with the tape of an agent's run that has ended. Raises
        ``IllegalTransition`` where it has not, or has its answer and nothing else is asked."""
        body = wire.encode(request or ResumeRequest())
        answer = await self._connected().call("POST", f"{task_path(reference)}/resume", body=body)
        return wire.decode(Task, answer)

    async def logs(self, reference: str, *, tail: int | None = None) -> str:
        """The readable log so far; its last ``tail`` lines where that is given."""
        if tail is not None:
            page = await self._get(f"{task_path(reference)}/logs", {"tail": tail})
            return str(page["text"])
        text, offset = "", 0
        while page := await self._log_page(reference, offset):
            text, offset = text + page["text"], page["next_offset"]
        return text

    async def follow_logs(self, reference: str) -> AsyncGenerator[str, None]:
        """The readable log as it grows, until the task has ended."""
        offset = 0
        while True:
            page = await self._get(f"{task_path(reference)}/logs", {"offset": offset})
            if page["text"]:
                yield page["text"]
                offset = page["next_offset"]
            elif page["finished"]:
                return
            else:
                # The log is a file that several processes write; nothing tells of its growth.
                await asyncio.sleep(_LOG_POLL_SECONDS)

    async def events(
        self, reference: str, *, after: int = 0, limit: int | None = None
    ) -> tuple[Event, ...]:
        """Durable events about the task with a higher seq than ``after``, in order."""
        query = {"after": after, "limit": limit}
        answer = await self._get(f"{task_path(reference)}/events", query)
        return tuple(wire.decode(Event, event) for event in answer["events"])

    async def notebook(self, reference: str, *, format: str = "ipynb") -> bytes:  # noqa: A002
        """The executed notebook as a file: ``ipynb`` or ``html``."""
        path = f"{task_path(reference)}/notebook"
        return await self._connected().download(path, query={"format": format})

    async def bundle(self, reference: str) -> bytes:
        """The sealed evidence of an audit, as a zip file. Raises ``TaskNotFinished`` before its
        end."""
        return await self._connected().download(f"{task_path(reference)}/bundle")

    async def sign(
        self, reference: str, meaning: Meaning | str, *, reason: str, name: str = ""
    ) -> Signature:
        """Your signature under an audit's report. Raises ``NotAuthorized`` where an author would
        review or approve what is theirs."""
        body = {"meaning": str(meaning), "reason": reason, "name": name}
        path = f"{task_path(reference)}/signatures"
        return wire.decode(Signature, await self._connected().call("POST", path, body=body))

    async def signatures(self, reference: str) -> SignatureList:
        """What people have signed under an audit, the oldest first."""
        return wire.decode(SignatureList, await self._get(f"{task_path(reference)}/signatures"))

    async def lineage(self, reference: str) -> Lineage:
        """What went into a task and its parts, and what came out."""
        return wire.decode(Lineage, await self._get(f"{task_path(reference)}/lineage"))

    async def export(self, since: datetime, until: datetime | None = None) -> bytes:
        """The history from ``since`` on and before ``until``, sealed, as a zip file."""
        query = {"since": since.isoformat(), "until": until.isoformat() if until else None}
        return await self._connected().download("history/period", query=query)

    async def artifacts(self, reference: str) -> tuple[Artifact, ...]:
        """Files that the task left."""
        answer = await self._get(f"{task_path(reference)}/artifacts")
        return tuple(wire.decode(Artifact, artifact) for artifact in answer["artifacts"])

    async def artifact(self, reference: str, path: str) -> bytes:
        """One file that the task left."""
        return await self._connected().download(f"{task_path(reference)}/artifacts/{quote(path)}")

    async def sql(self, query: str) -> Table:
        """The answer to a read-only query over the views of the history."""
        answer = await self._connected().call(
            "POST", "sql", body={"query": query}, timeout_seconds=_SQL_TIMEOUT_SECONDS
        )
        return wire.decode(Table, answer)

    async def parameters(self, notebook: str | PathLike[str]) -> tuple[Parameter, ...]:
        """What the notebook declares in its ``parameters`` cell."""
        answer = await self._get("notebooks/parameters", {"path": sent_path(notebook)})
        return tuple(wire.decode(Parameter, one) for one in answer["parameters"])

    async def plugins(self) -> tuple[PluginInfo, ...]:
        """What steps can do besides notebooks, by name."""
        return wire.decode(PluginList, await self._get("plugins")).plugins

    async def questions(
        self,
        *,
        task: str | None = None,
        all: bool = False,  # noqa: A002 (as in the address)
    ) -> QuestionList:
        """Open questions, newest first, or ``all``; of every task or of one."""
        query = {"task": task, "all": "true" if all else None}
        return wire.decode(QuestionList, await self._get("questions", query))

    async def question(self, reference: str) -> Question:
        """The question as it stands. ``reference``: its id, or the end of an open one's."""
        return wire.decode(Question, await self._get(_question_path(reference)))

    async def answer(self, reference: str, answer: str, *, comment: str = "") -> Question:
        """The question with its answer. Raises ``IllegalTransition`` where it is not open any
        more, ``InvalidRequest`` for an answer that is none of its choices."""
        body = wire.encode(Answer(answer=answer, comment=comment))
        path = f"{_question_path(reference)}/answer"
        return wire.decode(Question, await self._connected().call("POST", path, body=body))

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON that a route answers with. For features with a class of their own."""
        if method == "GET":
            return await self._get(path, **more)
        return await self._connected().call(method, path, **more)

    async def health(self) -> Health:
        """Whether the server accepts tasks."""
        return wire.decode(Health, await self._get("health"))

    async def diagnosis(self) -> Diagnosis:
        """What the server knows of its store, workers, kernels and disks."""
        return wire.decode(Diagnosis, await self._get("diagnosis"))

    async def prune(self, request: PruneRequest) -> Pruned:
        """Run directories that went; with ``dry_run`` those that would go. Without any limit in
        the request the server's settings hold. Raises ``InvalidRequest`` where there are none."""
        answer = await self._connected().call(
            "POST", "prune", body=wire.encode(request), timeout_seconds=_PRUNE_TIMEOUT_SECONDS
        )
        return wire.decode(Pruned, answer)

    async def check_workflow(self, request: WorkflowRequest) -> WorkflowCheck:
        """What is wrong with a workflow; nothing is stored or run."""
        answer = await self._connected().call("POST", "workflow-check", body=wire.encode(request))
        return wire.decode(WorkflowCheck, answer)

    async def workflow(self, reference: str) -> WorkflowView:
        """A run of a workflow with its steps."""
        return wire.decode(WorkflowView, await self._get(_workflow_path(reference)))

    async def explain_workflow(self, reference: str) -> Explanation:
        """Why each step of a run ran, or did not have to."""
        answer = await self._get(f"{_workflow_path(reference)}/explain")
        return wire.decode(Explanation, answer)

    async def rerun_workflow(self, reference: str, request: RerunRequest | None = None) -> Task:
        """A new run that does again what did not succeed and what follows, or what the request
        says. Raises ``IllegalTransition`` where the old one has not ended or nothing failed."""
        body = wire.encode(request or RerunRequest())
        path = f"{_workflow_path(reference)}/rerun"
        return wire.decode(Task, await self._connected().call("POST", path, body=body))

    async def compare_workflows(self, reference: str, other: str) -> Comparison:
        """What the second run did differently from the first."""
        path = f"{_workflow_path(reference)}/compare/{_workflow_path(other).partition('/')[2]}"
        return wire.decode(Comparison, await self._get(path))

    async def workflow_schema(self) -> dict[str, Any]:
        """JSON Schema of a workflow's file."""
        schema: dict[str, Any] = await self._get("workflow-schema.json")
        return schema

    async def messages(
        self, task_id: str | None, after: int | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Messages of the event stream as they come, while it holds: about one task, or about all
        of them and without what their cells put out.

        Raises ``ServerUnreachable`` when it breaks.
        """
        query = {"task": task_id, "after": after, "outputs": None if task_id else "false"}
        query["batched"] = "true"
        stream = self._connected().stream("events/stream", query=query)
        async with aclosing(stream) as messages:
            async for message in messages:
                yield message

    async def close(self) -> None:
        """Close idle connections. Tasks go on."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def moved(self) -> bool:
        """Whether the server turned up at another address, which is used from now on."""
        found = await asyncio.to_thread(discovery.find_again, self.server)
        if found == self.server:
            return False
        await self.close()
        self.server = found
        return True

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request as the live views make it: ``path`` with its query, JSON in and out."""
        if method == "GET":
            return await self._get(path)
        return await self._connected().call(method, path, body=body)

    async def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        try:
            return await self._connected().call("GET", path, query=query)
        except (errors.ServerUnreachable, errors.NotAuthenticated, errors.ServerNotFound):
            if not await self.moved():
                raise
            return await self._connected().call("GET", path, query=query)

    async def _log_page(self, reference: str, offset: int) -> dict[str, Any] | None:
        page = await self._get(f"{task_path(reference)}/logs", {"offset": offset})
        return page if page["text"] else None

    def _connected(self) -> Transport:
        if self._transport is None:
            server = self.server
            self._transport = Transport(server.url, server.authorization, verify=server.verify)
        return self._transport


def _question_path(reference: str) -> str:
    if not REFERENCE.fullmatch(reference):
        raise errors.QuestionNotFound(reference)
    return f"questions/{reference}"


def _workflow_path(reference: str) -> str:
    return task_path(reference).replace("tasks/", "workflows/", 1)
