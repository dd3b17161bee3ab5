"""Keys of tasks: they open the door while their attempt runs, and never else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opspawn_jupyter.broker.keys import Keys, principal
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.work import TASK_TOKEN_VARIABLE

URL = "http://127.0.0.1:8888/"


def _task(**changes: Any) -> Task:
    given: dict[str, Any] = {
        "id": new_id(),
        "kind": "notebook",
        "name": "n",
        "state": State.RUNNING,
        "attempt": 1,
        "spec": {"tools": ["time.*"]},
        "run_directory": "r",
        "submitted_by": "me",
        "created_at": datetime.now(UTC),
        **changes,
    }
    return Task(**given)


def test_a_key_names_its_task_and_survives_a_restart() -> None:
    """Nothing is stored of it: the secret alone recognises it."""
    task = _task()
    key = Keys(b"secret", URL).environment(task, 1)[TASK_TOKEN_VARIABLE]
    assert Keys(b"secret", "http://elsewhere/").read(key) == (task.id, 1)


@pytest.mark.parametrize("change", [lambda key: key[:-1] + "A", lambda key: key + "x", str.upper])
def test_a_key_that_was_tampered_with_opens_nothing(change: Any) -> None:
    key = Keys(b"secret", URL).environment(_task(), 1)[TASK_TOKEN_VARIABLE]
    changed = change(key)
    assert changed == key or Keys(b"secret", URL).read(changed) is None
    assert Keys(b"other", URL).read(key) is None


def test_a_task_without_tools_gets_no_key() -> None:
    assert Keys(b"secret", URL).environment(_task(spec={}), 1) == {}


def test_a_key_for_another_attempt_of_the_same_task_is_another() -> None:
    keys, task = Keys(b"secret", URL), _task()
    first, second = (keys.environment(task, n)[TASK_TOKEN_VARIABLE] for n in (1, 2))
    assert keys.read(first.replace(".1.", ".2.")) is None
    assert keys.read(second) == (task.id, 2)


@pytest.mark.parametrize(
    ("state", "of_task", "of_key", "is_let_in"),
    [
        (State.RUNNING, 1, 1, True),
        # The kernel may be quicker than the report that it runs.
        (State.QUEUED, 0, 1, True),
        (State.QUEUED, 1, 1, False),
        (State.RETRYING, 1, 1, False),
        (State.RUNNING, 2, 1, False),
        (State.WAITING, 1, 1, False),
        *((state, 1, 1, False) for state in State if state.is_final),
    ],
)
def test_a_key_ends_with_its_attempt(
    state: State, of_task: int, of_key: int, *, is_let_in: bool
) -> None:
    caller = principal(_task(state=state, attempt=of_task), of_key)
    assert (caller is not None) is is_let_in
    if caller is not None:
        assert (caller.user, caller.tools) == ("me", ("time.*",))
