"""The client: everything that can be asked of the server, from Python.

    from opspawn_jupyter import connect

    task = connect().run("analysis.ipynb", parameters={"year": 2026})
    task.result()

``AsyncClient`` is written; ``Client`` is derived from it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self

from opspawn_jupyter.client import audit, discovery, outcome
from opspawn_jupyter.client import follow as following
from opspawn_jupyter.client.agent import agent_submission
from opspawn_jupyter.client.api import Api
from opspawn_jupyter.client.audit import audit_submission
from opspawn_jupyter.client.blocking import Blocking, blocking, iterating, loop_thread
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.handle import AsyncTaskHandle, TaskHandle
from opspawn_jupyter.client.schedules import AsyncSchedules, Schedules
from opspawn_jupyter.client.submission import notebook_submission, step_submission
from opspawn_jupyter.client.workflow import workflow_submission
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.task import Submission, Task

P = ParamSpec("P")


def _submitting(
    describe: Callable[P, Submission],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, AsyncTaskHandle]]:
    """A method that submits what ``describe`` makes of the same arguments."""

    @wraps(describe)
    async def run(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskHandle:
        return self.attach(await self.submit(describe(*args, **kwargs)))

    return run


class AsyncClient(Api):
    """One server, for callers who await."""

    #: Run a notebook in the background; takes what ``notebook_submission`` takes.
    run = _submitting(notebook_submission)
    #: Audit a notebook in the background; takes what ``audit_submission`` takes.
    audit = _submitting(audit_submission)

    async def audits(self, targets: Iterable[str], like: Submission) -> list[AsyncTaskHandle]:
        """An audit of each notebook that the targets name: files, folders, tasks that have run.
        Policy and spec are those of ``like``. Raises as ``submit`` does."""
        wanted = await audit.submissions(self, targets, like)
        return [self.attach(await self.submit(one)) for one in wanted]

    #: Run one step of a plugin in the background; takes what ``step_submission`` takes.
    step = _submitting(step_submission)

    #: Let an agent work in the background; takes what ``agent_submission`` takes.
    agent = _submitting(agent_submission)

    #: Run a workflow; takes what ``workflow_submission`` takes.
    run_workflow = _submitting(workflow_submission)

    @property
    def schedules(self) -> AsyncSchedules:
        """What runs when it is due."""
        return AsyncSchedules(self)

    async def find(self, reference: str) -> AsyncTaskHandle:
        """The task of this id, or of this unique end of an id."""
        return self.attach(await self.task(reference))

    def attach(self, task: Task) -> AsyncTaskHandle:
        """A handle for a task that is known."""
        return AsyncTaskHandle(self, task)

    async def result(self, reference: str) -> dict[str, Any]:
        """Outputs of a task that has succeeded. Raises ``TaskNotFinished`` or ``TaskError``."""
        return outcome.outputs(await self.task(reference))

    async def wait(self, reference: str, timeout: float | None = None) -> Task:
        """The task once it has ended, or as it stands after ``timeout`` seconds."""
        return await following.wait(self, reference, timeout)

    def follow(self, reference: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Events as they come, each once, until the task has ended; survives a server's restart."""
        return following.follow(self, reference, after=after)


def _handled(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, AsyncTaskHandle]],
) -> Callable[Concatenate[Client, P], TaskHandle]:
    """The method, called without ``await``, that gives a sync handle."""

    @wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> TaskHandle:
        return TaskHandle(loop_thread().run(method, self._twin, *args, **kwargs))

    return call


class Client(Blocking[AsyncClient]):
    """One server. Works in scripts and in notebook cells alike."""

    @property
    def server(self) -> Server:
        """The server that is talked to."""
        return self._twin.server

    def __repr__(self) -> str:
        return f"<Client of {self.server.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def schedules(self) -> Schedules:
        """What runs when it is due."""
        return Schedules(self._twin.schedules)

    def attach(self, task: Task) -> TaskHandle:
        """A handle for a task that is known."""
        return TaskHandle(self._twin.attach(task))

    def audits(self, targets: Iterable[str], like: Submission) -> list[TaskHandle]:
        """As ``AsyncClient.audits``."""
        handles = loop_thread().run(AsyncClient.audits, self._twin, targets, like)
        return [TaskHandle(handle) for handle in handles]

    run = _handled(AsyncClient.run)
    step = _handled(AsyncClient.step)
    agent = _handled(AsyncClient.agent)
    audit = _handled(AsyncClient.audit)
    find = _handled(AsyncClient.find)
    submit = blocking(AsyncClient.submit)
    task = blocking(AsyncClient.task)
    tasks = blocking(AsyncClient.tasks)
    cancel = blocking(AsyncClient.cancel)
    retry = blocking(AsyncClient.retry)
    resume = blocking(AsyncClient.resume)
    result = blocking(AsyncClient.result)
    wait = blocking(AsyncClient.wait)
    logs = blocking(AsyncClient.logs)
    follow_logs = iterating(AsyncClient.follow_logs)
    events = blocking(AsyncClient.events)
    follow = iterating(AsyncClient.follow)
    notebook = blocking(AsyncClient.notebook)
    bundle = blocking(AsyncClient.bundle)
    sign = blocking(AsyncClient.sign)
    signatures = blocking(AsyncClient.signatures)
    lineage = blocking(AsyncClient.lineage)
    export = blocking(AsyncClient.export)
    artifacts = blocking(AsyncClient.artifacts)
    artifact = blocking(AsyncClient.artifact)
    sql = blocking(AsyncClient.sql)
    parameters = blocking(AsyncClient.parameters)
    plugins = blocking(AsyncClient.plugins)
    questions = blocking(AsyncClient.questions)
    question = blocking(AsyncClient.question)
    answer = blocking(AsyncClient.answer)
    tool_servers = blocking(AsyncClient.tool_servers)
    approve_tool = blocking(AsyncClient.approve_tool)
    import_tool_servers = blocking(AsyncClient.import_tool_servers)
    log_in_to = blocking(AsyncClient.log_in_to)
    log_out_of = blocking(AsyncClient.log_out_of)
    tools = blocking(AsyncClient.tools)
    call_tool = blocking(AsyncClient.call_tool)
    resources = blocking(AsyncClient.resources)
    read_resource = blocking(AsyncClient.read_resource)
    prompts = blocking(AsyncClient.prompts)
    prompt = blocking(AsyncClient.prompt)
    remember = blocking(AsyncClient.remember)
    notes = blocking(AsyncClient.notes)
    forget = blocking(AsyncClient.forget)
    health = blocking(AsyncClient.health)
    diagnosis = blocking(AsyncClient.diagnosis)
    prune = blocking(AsyncClient.prune)
    run_workflow = _handled(AsyncClient.run_workflow)
    check_workflow = blocking(AsyncClient.check_workflow)
    workflow = blocking(AsyncClient.workflow)
    explain_workflow = blocking(AsyncClient.explain_workflow)
    rerun_workflow = blocking(AsyncClient.rerun_workflow)
    compare_workflows = blocking(AsyncClient.compare_workflows)
    workflow_schema = blocking(AsyncClient.workflow_schema)
    close = blocking(AsyncClient.close)


def connect(url: str | None = None, token: str | None = None) -> Client:
    """A client of the server at ``url``, or of the one that is found: this kernel's own, or the
    running one whose directory holds the current one.

    Raises ``ServerNotFound`` or ``ServerAmbiguous``. The server is not asked anything yet.
    """
    return Client(connect_async(url, token))


def connect_async(url: str | None = None, token: str | None = None) -> AsyncClient:
    """As ``connect``, for callers who await."""
    return AsyncClient(discovery.find(url, token))
