"""What the store knows without asking the database."""

from __future__ import annotations

from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.stores.memory import Memory
from opspawn_jupyter.stores.stage import Stage


class EmptyArchive:
    """A database that has nothing, and counts how often it is asked."""

    asked = 0

    def task(self, *_: object) -> None:
        self.asked += 1

    record = record_by_key = task


def ended(memory: Memory, *task_ids: str) -> None:
    """The tasks have come and gone, and the database has them."""
    stage = Stage(memory, EmptyArchive())
    for task_id in task_ids:
        data = {"kind": "k", "name": "n", "spec": {}, "run_directory": "r"}
        stage.add([Draft(task_id=task_id, type=EventType.SUBMITTED, data=data)])
        stage.add([Draft(task_id=task_id, type=EventType.WITHDRAWN)])
    memory.apply(stage)
    memory.forget(stage.seq)


def test_a_task_that_has_just_ended_is_still_at_hand() -> None:
    """The worker that ended it and the client that waited for it ask for it at once."""
    memory = Memory(0, "")

    ended(memory, "t")

    assert memory.held().tasks == ()
    found = memory.task("t")
    assert found is not None
    assert found.state.is_final


def test_few_ended_tasks_are_kept_at_hand() -> None:
    """A server that runs for months must not fill its memory."""
    memory = Memory(0, "")

    ended(memory, *(f"t{number}" for number in range(3_000)))

    assert memory.task("t0") is None
    assert memory.task("t2999") is not None
    assert sum(memory.task(f"t{number}") is not None for number in range(3_000)) <= 1_000


def test_what_happens_to_an_ended_task_is_seen() -> None:
    """Its files may be removed at any time."""
    memory, archive = Memory(0, ""), EmptyArchive()
    ended(memory, "t")
    stage = Stage(memory, archive)

    stage.add([Draft(task_id="t", type=EventType.PRUNED)])
    memory.apply(stage)
    before = memory.task("t")
    memory.forget(stage.seq)

    assert archive.asked == 0
    assert before is not None
    assert before.pruned_at is not None
    assert memory.task("t") == before
