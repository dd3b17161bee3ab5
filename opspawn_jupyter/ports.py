"""Every seam of the system on one page: what the verbs need from the world.

Each port has interchangeable answers in a folder of the plural name. The contract suite of a
port (``tests/contract``) runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from opspawn_jupyter.model.agent import Act, Plan, Ran
from opspawn_jupyter.model.agent_door import AgentDoor
from opspawn_jupyter.model.conversation import Message, Prompt, Reply
from opspawn_jupyter.model.diagnosis import StoreStatus
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.record import Record, RecordQuery
from opspawn_jupyter.model.states import EventType, State, Subject
from opspawn_jupyter.model.table import Table
from opspawn_jupyter.model.task import Task, TaskPage, TaskQuery
from opspawn_jupyter.model.work import Assignment


class Store(Protocol):
    """The memory of the system: the journal of events and the tasks they add up to."""

    async def append(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """Write the events, all or none, and return once they are durable.

        Called by every verb, for each change of state. Raises ``IllegalTransition`` where a
        task's state forbids one of them, ``StoreUnavailable`` where they cannot be written;
        nothing is stored then. Concurrent calls share one sync of the disk. ``events``,
        ``records`` and ``sql`` see what was begun before them, even where nobody awaits it.
        """

    async def task(self, task_id: str) -> Task | None:
        """The task as it stands now. Called for each status request."""

    async def resolve(self, reference: str) -> tuple[str, ...]:
        """Ids of the tasks whose id is, or ends with, the reference; at most a few.

        Called for ids that people type.
        """

    async def task_by_key(self, idempotency_key: str) -> Task | None:
        """The task that was submitted with this key. Called for submissions that carry one."""

    async def unfinished(self) -> tuple[Task, ...]:
        """Every task that is not final, oldest first. Called once, at start."""

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """One page of tasks. Raises ``InvalidRequest`` for an unknown sort field or a cursor
        that does not belong to the query."""

    async def events(
        self, *, after: int = 0, limit: int = 1000, task_id: str | None = None
    ) -> tuple[Event, ...]:
        """Durable events with a higher seq than ``after``, in order.

        Called when a listener comes (back), and for the history of a task.
        """

    async def record(self, subject: Subject, record_id: str) -> Record | None:
        """The record as it stands now. Called for each look at what is no task.

        Records are written by ``append``, with drafts that ``model.record.draft`` makes. It
        raises ``RecordChanged`` where a change was not made to the record as it stands, and
        ``KeyTaken`` where a new one has the key of another.
        """

    async def record_by_key(self, subject: Subject, key: str) -> Record | None:
        """The record of this key, or that had it before, as it stands now. Called for names that
        people type."""

    async def records(self, query: RecordQuery) -> tuple[Record, ...]:
        """Records as they stand now, newest first."""

    async def last_seq(self) -> int:
        """Seq of the last durable event; 0 in an empty store."""

    async def sql(self, query: str) -> Table:
        """Answer one read-only query over the views of the history.

        Raises ``QueryInvalid`` for anything that writes, touches files or the network, does not
        parse, or runs too long.
        """

    @property
    def problem(self) -> str | None:
        """What keeps events or history from being written, and what to do; None while nothing
        does. Called for each health request, so it only remembers."""

    def status(self) -> StoreStatus:
        """How much is kept and how it stands. Called for a diagnosis, in a thread."""

    async def close(self) -> None:
        """Write out everything and release the files. Called once, at the end."""


class Queue(Protocol):
    """Tasks on their way to workers, and how many may run at once. Keeps nothing of its own: the
    store can refill it.

    A task is *waiting* from ``put`` on, then *placed*: handed to a worker, started, and in its
    place until ``remove``. Limits count placed tasks: of all, of one kind, of one concurrency key.
    """

    async def put(self, task: Task) -> None:
        """Offer a queued task for its next attempt. Called after the event that queued it is
        durable."""

    async def take(self, worker: str, free_slots: int, held: Mapping[str, int]) -> tuple[str, ...]:
        """Ids of up to ``free_slots`` tasks for this worker, without waiting.

        Higher priority first, then in order of arrival. A task whose kind or key is at its limit
        is passed over, those behind it are not. ``held`` says which attempt of which tasks the
        worker has: a task that was handed to it before and is not among them got lost on the way
        and is handed out again; one that it has, though nobody remembers handing it out, is taken
        as handed.
        """

    async def started(self, task_id: str) -> None:
        """Its worker has begun: nobody else may be given it, and it keeps its place."""

    async def remove(self, task_id: str) -> None:
        """Its attempt has ended, or there will be none: forget the task. What waited for its
        place may go."""

    async def release(self, worker: str) -> None:
        """The worker is gone: what it was handed and did not start is offered again."""

    def is_handed_out(self, task_id: str) -> bool:
        """A worker has it, or the answer with it is under way, and nobody has heard of its
        start."""

    def limit_kind(self, kind: str, most: int | None) -> None:
        """Let at most so many tasks of the kind run, fewer than the settings say: 0 holds it.
        None ends that. Called by the circuit breaker."""

    def notify(self) -> None:
        """Wake all who wait in ``changed``: there is something to tell the workers."""

    @property
    def version(self) -> int:
        """Grows with each change; read it before looking, so that no change is missed."""

    async def changed(self, since: int, timeout_seconds: float) -> None:
        """Wait until the version is above ``since``, or the time is over."""


class Bus(Protocol):
    """Where events are told to whoever listens. Telling never blocks and never fails a verb."""

    def tell(self, events: Sequence[Event]) -> None:
        """Called after durable events are durable, and at once for the others."""


class Keys(Protocol):
    """What lets the kernel of a task use the tools that the task declares."""

    def environment(self, task: Task, attempt: int) -> Mapping[str, str]:
        """Variables for the kernel of this attempt; none where the task declares no tools.

        Called for each assignment. They open the door until the attempt ends.
        """

    def agent_door(self, task: Task, attempt: int) -> AgentDoor:
        """Where the loop of an agent's attempt asks. Called for each assignment of an agent."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A submission that was found good."""

    #: Name for people, where the caller gave none.
    name: str
    #: The kind's spec for the task: checked, converted, complete.
    spec: Mapping[str, Any]
    #: Files to pin in the run directory, by name.
    files: Mapping[str, bytes]


class Kind(Protocol):
    """What may be submitted under a kind's name. Found by entry point ``opspawn_jupyter.kinds``."""

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """Check everything that can be checked before the task is accepted.

        Called once for each submission, in a thread: it may read files. Raises
        ``InvalidRequest`` or ``NotFound`` with a sentence that says what to do.
        """


class Plugin(Protocol):
    """What steps of one kind do, beside notebooks. Found by entry point
    ``opspawn_jupyter.plugins``; the class is called without arguments.

    It may carry ``Config``, a pydantic model that a step's configuration is checked against before
    anything runs, ``outputs``, the names of what it gives where they are always the same,
    ``notebook``, the path of a notebook to run it through instead of the plain one,
    ``can_share_process = True`` where its steps may run in the tier ``pool``, and
    ``tools(config)``, which names the MCP tools that the step calls. The server imports the plugin
    to check configurations: heavy imports belong into ``run``.
    """

    def run(self, config: Any, context: Any) -> Any:
        """Do it; what is returned are the step's outputs, a mapping by name.

        Called once, in the kernel of the step. ``config`` is a ``Config``, or a plain ``dict``
        where the plugin has none; ``context`` is a mapping by step id of what the steps before
        have given (``plugins/context.py``). Whatever it raises fails the step.
        """


@runtime_checkable
class KnowsSmall(Protocol):
    """A kind that knows beforehand what it prepares in a moment. Optional beside ``Kind``."""

    def is_small(self, spec: Mapping[str, Any]) -> bool:
        """Whether ``prepare`` takes no longer than an ordinary handler; then it may be called in
        the event loop. Called for each submission, there or in a thread."""


@runtime_checkable
class DeclaresOutputs(Protocol):
    """A kind that knows beforehand which outputs its tasks give. Optional beside ``Kind``."""

    def outputs(self, spec: Mapping[str, Any]) -> frozenset[str] | None:
        """Names of the outputs; None where they cannot be known.

        Called in a thread, while a workflow is checked; parts of the spec that only a run knows
        are left out of it.
        """


@runtime_checkable
class FindsFaults(Protocol):
    """A kind that can tell what is wrong with a spec in parts. Optional beside ``Kind``."""

    def faults(self, spec: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Field and fault of all that is wrong with a step's config, its templates left as they
        are. Called in a thread, for each step of a workflow, so it should be quick. Raises
        ``InvalidRequest`` where the kind itself cannot be used."""


@runtime_checkable
class FindsSources(Protocol):
    """A kind whose tasks run code that lies outside their spec. Optional beside ``Kind``."""

    def source_digest(self, spec: Mapping[str, Any]) -> str:
        """Digest of that code, for the step cache: another one means that an earlier result does
        not count any more. Called in a thread, with a checked spec."""


@runtime_checkable
class MeetsKinds(Protocol):
    """A kind that needs to know the others. Optional beside ``Kind``."""

    def meet(self, kinds: Mapping[str, Kind]) -> None:
        """Called once, when all are there."""


class Reporter(Protocol):
    """How a runner tells what happens. Told events are written to the run directory's journal
    before they are sent."""

    def tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        """Called for everything that happens, in order. Does not wait for the server, and may put
        off for a moment what nobody waits for."""

    def catch_up(self) -> None:
        """Tell what was put off. Called while the kernel ends, when there is time for it, so that
        the outcome need not wait for it."""

    def on_stop(self, callback: Callable[[State], None]) -> None:
        """Say what is to be called when the run must end before its time.

        Called once, early. The callback gets the outcome to aim for, ``cancelled``, or ``crashed``
        where the worker has died; it comes in another thread, at most twice, and at once where
        that has happened already. It must return without waiting.
        """


class Runner(Protocol):
    """What carries out a task of one kind, in a process of its own. Found by entry point
    ``opspawn_jupyter.runners``; the class is called with the worker's ``Grace``.

    One with an attribute ``is_clean`` that is true after a run has left the process as it was:
    the next run may begin in it, instead of in a new one.
    """

    def run(self, assignment: Assignment, directory: Path, reporter: Reporter) -> None:
        """Carry it out and tell the outcome as the last event.

        Called once, in the main thread of a process whose standard streams go to ``run.log``.
        """


class LanguageModel(Protocol):
    """A language model that an agent asks. Made by name of provider, which is an entry point of
    ``opspawn_jupyter.models``; the factory is called with the model's name and a
    ``ModelOptions``."""

    async def reply(self, prompt: Prompt) -> Reply:
        """What it answers. Called for each turn of a run.

        Raises ``ModelUnavailable`` where asking again may help, ``ModelRefused`` where it will
        not.
        """


class Planner(Protocol):
    """How an agent is led to its goal. Entry points of ``opspawn_jupyter.planners``."""

    @property
    def instructions(self) -> str:
        """Told to the model at the start of a run."""

    def offered(self, plan: Plan, tools: Sequence[str]) -> Sequence[str]:
        """Names of those tools that the model may use in the next turn."""

    def reminder(self, plan: Plan) -> str:
        """Told to the model at the end of each request; nothing where it is empty."""


class Memory(Protocol):
    """What of a conversation is sent with a request. Entry points of
    ``opspawn_jupyter.memories``; the factory is called with the budget in tokens."""

    def recent(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages that fit, in order. Called before each request, with all of them."""


class Workbench(Protocol):
    """Where an agent's acts become cells. An act that was done before is put there again with
    the outputs that it had then."""

    async def run(self, act: Act, recorded: Sequence[Mapping[str, Any]] | None = None) -> Ran:
        """Run the act's code in the kernel."""

    def write(self, cell_id: str, text: str, tags: Sequence[str] = ()) -> None:
        """Put a text there, in place of the one with this id where there is one."""
