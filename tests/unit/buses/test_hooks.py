"""Hooks: who is told when a task has ended, and that nobody is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opspawn_jupyter.buses.hooks import HookBus, Undelivered
from opspawn_jupyter.buses.notifications import Notifications
from opspawn_jupyter.buses.webhook import signature
from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.ports import Store
from opspawn_jupyter.stores.duckdb import DuckDBStore
from tests.contract.store_steps import queued, run

URL = "https://host.example/hook"


@dataclass
class Recorder:
    """A sender that keeps what it was given, and fails as often as it is told to."""

    failures: int = 0
    is_final: bool = False
    calls: list[tuple[str, EventType, State]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, hook: str, event: Event, task: Task) -> None:
        self.calls.append((hook, event.type, task.state))
        self.called.set()
        if self.failures:
            self.failures -= 1
            raise Undelivered("out of order", is_final=self.is_final)


@dataclass
class World:
    """A store, and a bus that hears of all that is appended."""

    store: Store
    bus: HookBus

    async def append(self, drafts: list[Draft]) -> None:
        self.bus.tell(await self.store.append(drafts))

    async def settle(self) -> None:
        """Until everything that is owed is delivered or given up."""
        while self.bus._deliveries:
            await asyncio.wait(self.bus._deliveries, timeout=5)


@asynccontextmanager
async def world(root: Path, webhook: Recorder, notifier: Recorder) -> AsyncIterator[World]:
    store = await DuckDBStore.open(root / "state")
    bus = HookBus(
        store,
        root / "hooks.json",
        webhook=webhook,
        notifier=notifier,
        first_delay_seconds=0.001,
    )
    await bus.start()
    try:
        yield World(store, bus)
    finally:
        await bus.close()
        await store.close()


def test_only_the_hooks_of_the_outcome_are_called(tmp_path: Path) -> None:
    """Addresses by POST, names through the settings' services; tasks without hooks tell nobody."""

    async def scenario() -> None:
        webhook, notifier = Recorder(), Recorder()
        async with world(tmp_path, webhook, notifier) as w:
            good, bad, plain = new_id(), new_id(), new_id()
            hooks = {"on_success": [URL], "on_failure": ["team"]}
            await w.append([*queued(good, **hooks), *run(good)])
            await w.append([*queued(bad, **hooks), *run(bad, EventType.FAILED)])
            await w.append([*queued(plain), *run(plain)])
            await w.settle()

        assert webhook.calls == [(URL, EventType.SUCCEEDED, State.SUCCESS)]
        assert notifier.calls == [("team", EventType.FAILED, State.FAILED)]

    asyncio.run(scenario())


def test_a_withdrawn_task_counts_as_a_failure(tmp_path: Path) -> None:
    """Whoever waits for the task must hear that nothing will come."""

    async def scenario() -> None:
        webhook = Recorder()
        async with world(tmp_path, webhook, Recorder()) as w:
            task_id = new_id()
            await w.append(queued(task_id, on_failure=[URL]))
            await w.append([Draft(task_id=task_id, type=EventType.WITHDRAWN)])
            await w.settle()

        assert [state for _, _, state in webhook.calls] == [State.CANCELLED]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("failures", "is_final", "calls"), [(2, False, 3), (99, False, 6), (99, True, 1)]
)
def test_a_call_is_repeated_a_bounded_number_of_times(
    tmp_path: Path, failures: int, is_final: bool, calls: int
) -> None:
    """A receiver may be away for a while; one that refuses is left in peace."""

    async def scenario() -> None:
        webhook = Recorder(failures=failures, is_final=is_final)
        async with world(tmp_path, webhook, Recorder()) as w:
            w.bus._delay_seconds = lambda _number: 0.0  # type: ignore[method-assign]
            task_id = new_id()
            await w.append([*queued(task_id, on_success=[URL]), *run(task_id)])
            await w.settle()

        assert len(webhook.calls) == calls

    asyncio.run(scenario())


def test_what_was_owed_when_the_server_stopped_is_called_by_the_next(tmp_path: Path) -> None:
    """Also for tasks that ended while there was no server to tell of it; and only once more."""

    async def scenario() -> None:
        stuck, owed, waiting = Recorder(failures=1), new_id(), new_id()
        async with world(tmp_path, stuck, Recorder()) as w:
            w.bus._delay_seconds = lambda _number: 3600.0  # type: ignore[method-assign]
            await w.append([*queued(owed, on_success=[URL]), *run(owed)])
            await w.append(queued(waiting, on_success=[URL]))
            await stuck.called.wait()
        store = await DuckDBStore.open(tmp_path / "state")
        await store.append(run(waiting))
        await store.close()

        after, again = Recorder(), Recorder()
        async with world(tmp_path, after, Recorder()) as w:
            await w.settle()
        async with world(tmp_path, again, Recorder()) as w:
            await w.settle()

        assert len(after.calls) == 2
        assert again.calls == []

    asyncio.run(scenario())


def test_a_new_installation_calls_no_hooks_of_the_past(tmp_path: Path) -> None:
    """A lost file must not call everybody anew."""

    async def scenario() -> None:
        async with world(tmp_path, Recorder(), Recorder()) as w:
            task_id = new_id()
            await w.append([*queued(task_id, on_success=[URL]), *run(task_id)])
        (tmp_path / "hooks.json").unlink()

        late = Recorder()
        async with world(tmp_path, late, Recorder()) as w:
            await w.settle()

        assert late.calls == []

    asyncio.run(scenario())


def test_the_signature_is_what_a_receiver_computes() -> None:
    """A well-known example of HMAC-SHA256; `openssl dgst -sha256 -hmac key` gives it too."""
    assert signature("key", b"The quick brown fox jumps over the lazy dog") == (
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # within Apprise
def test_a_notifier_with_a_wrong_address_is_said_at_the_start() -> None:
    """Not when the first task has failed; and the address, which holds a secret, is not shown."""
    pytest.importorskip("apprise")

    with pytest.raises(SettingInvalid, match="team") as refusal:
        Notifications({"team": "nosuch://token"})

    assert "token" not in str(refusal.value)
