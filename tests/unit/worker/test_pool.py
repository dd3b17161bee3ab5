"""Processes that the steps of a workflow share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, sleep

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes

from opspawn_jupyter.model import run_journal, wire
from opspawn_jupyter.model.notebook import NotebookSpec, Tier
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.pool import Pool, Ticket
from opspawn_jupyter.worker.word import Word

_DEADLINE_SECONDS = 100.0
#: Begins, and goes on until it is released.
_LONG = """
import pathlib, time
pathlib.Path({run!r}, "begun").touch()
while not pathlib.Path({run!r}, "release").exists():
    time.sleep(0.01)
"""


class Step(Ticket):
    """A step that is a notebook of one cell, and what was heard of it."""

    def __init__(self, run: Path, source: str = "") -> None:
        self.run = run
        self.heard: list[EventType] = []
        self.began = asyncio.Event()
        run.mkdir()
        notebook = writes(new_notebook(cells=[new_code_cell(source.format(run=str(run)))]))
        (run / "input.ipynb").write_text(notebook)
        spec = NotebookSpec(
            notebook=None, parameters={}, kernel="python3", language="python",
            working_directory=".", source_sha256=run.name, tier=Tier.POOL,
        )  # fmt: skip
        assignment = Assignment(
            task_id=run.name, attempt=1, kind="python_function", name="n", spec=wire.encode(spec),
            policy=Policy(), run_directory=str(run), root_directory=str(run.parent), group="g",
        )  # fmt: skip
        self.over = asyncio.Event()
        super().__init__(assignment, self.hear_of, self.over.set)

    def hear_of(self, word: Word) -> None:
        self.heard += [EventType(event["type"]) for event in json.loads(f"[{word.text}]")]
        self.began.set()

    def stop(self) -> bool:
        assert self.member is not None
        return self.member.stop(self)

    def release(self) -> None:
        (self.run / "release").touch()

    @property
    def outcome(self) -> EventType | None:
        return self.heard[-1] if self.heard else None


def tell(story: Callable[[Pool], Awaitable[None]]) -> None:
    """Have it happen around a pool."""

    async def with_pool() -> None:
        launcher = Launcher()
        pool = Pool(launcher, "w")
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await story(pool)
        finally:
            pool.close()
            launcher.close()

    asyncio.run(with_pool())


def put(pool: Pool, *steps: Step) -> None:
    for step in steps:
        pool.put(step)


async def ended(*steps: Step) -> None:
    await asyncio.gather(*(step.over.wait() for step in steps))


def begun(step: Step) -> None:
    """Wait until the step says so itself; in the event loop nothing is heard meanwhile."""
    deadline = monotonic() + _DEADLINE_SECONDS
    while not (step.run / "begun").exists():
        assert monotonic() < deadline
        sleep(0.01)


def test_steps_that_are_ended_one_after_another_take_none_along_that_waits(tmp_path: Path) -> None:
    """A workflow that is cancelled: each step that is at work takes its process along, and one that
    has seen many processes end is no reason for that."""

    async def story(pool: Pool) -> None:
        steps = [Step(tmp_path / f"t{number}", _LONG) for number in range(12)]
        put(pool, *steps)

        async def end_when_begun(step: Step) -> None:
            await step.began.wait()
            assert step.stop() is False

        await asyncio.gather(*map(end_when_begun, steps))
        await ended(*steps)
        assert {tuple(step.heard) for step in steps} == {(EventType.STARTED,)}

    tell(story)


def test_a_step_that_was_given_ahead_does_not_begin_once_it_was_stopped(tmp_path: Path) -> None:
    """Its process has it already; the others that it has go on."""

    async def story(pool: Pool) -> None:
        long = [Step(tmp_path / f"l{number}", _LONG) for number in range(2)]
        quick = [Step(tmp_path / f"q{number}", "1") for number in range(8)]
        put(pool, *long)
        await long[0].began.wait()
        put(pool, *quick)

        assert [step.stop() for step in quick[::2]] == [True] * 4
        for step in long:
            step.release()
        await ended(*long, *quick[1::2])
        assert {step.outcome for step in (*long, *quick[1::2])} == {EventType.SUCCEEDED}
        assert [path for step in quick[::2] for path in step.run.iterdir()] == [
            step.run / "input.ipynb" for step in quick[::2]
        ]

    tell(story)


def test_no_step_waits_behind_a_long_one_while_another_process_is_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was given it when nobody knew how long the one before it would take."""
    monkeypatch.setattr("opspawn_jupyter.worker.pool._PROCESSES", 2)

    async def story(pool: Pool) -> None:
        long = Step(tmp_path / "l", _LONG)
        quick = [Step(tmp_path / f"q{number}", "1") for number in range(40)]
        put(pool, long, *quick)

        await ended(*quick)
        assert not long.is_ended
        long.release()
        await ended(long)
        assert {step.outcome for step in (long, *quick)} == {EventType.SUCCEEDED}

    tell(story)


def test_a_step_that_is_over_unheard_takes_no_other_along(tmp_path: Path) -> None:
    """Between the end of a step and the word of it the process goes on with the next."""

    async def story(pool: Pool) -> None:
        first, second = Step(tmp_path / "a", _LONG), Step(tmp_path / "b", _LONG)
        put(pool, first)
        await first.began.wait()
        assert first.member is not None
        first.member.put(second)
        first.release()
        begun(second)

        assert first.stop() is False
        second.release()
        await ended(first, second)
        assert {first.outcome, second.outcome} == {EventType.SUCCEEDED}

    tell(story)


def test_a_step_has_put_down_its_start_when_it_begins(tmp_path: Path) -> None:
    """A server that finds its worker dead looks for that."""

    async def story(pool: Pool) -> None:
        step = Step(tmp_path / "a", _LONG)
        put(pool, step)
        await asyncio.to_thread(begun, step)

        start, *_ = run_journal.events(step.run / "events.jsonl", 1)
        assert (start.type, start.number) == (EventType.STARTED, 1)
        assert (start.data["worker"], start.data["kernel"]) == ("w", "python3")
        step.release()
        await ended(step)
        assert json.loads((step.run / "output.ipynb").read_text())["cells"][0]["outputs"] == []

    tell(story)


def test_outputs_are_told_with_the_outcome_or_with_a_sign_of_life(tmp_path: Path) -> None:
    """Whoever watches a long step sees what it gave, and none waits for an event of its own."""
    source = """
from opspawn_jupyter import step
step.output("early", 1)
step.log("still here")
step.output("late", 2)
"""

    async def story(pool: Pool) -> None:
        step = Step(tmp_path / "a", source)
        put(pool, step)
        await ended(step)

        assert step.heard == [
            EventType.STARTED, EventType.STEP_OUTPUT, EventType.STEP_LOG, EventType.SUCCEEDED,
        ]  # fmt: skip
        *_, last = run_journal.events(step.run / "events.jsonl", 1)
        assert last.data["outputs"] == {"late": 2}
        assert [cell["state"] for cell in last.data["cells"]] == ["success"]

    tell(story)


def test_a_process_that_dies_takes_only_the_step_that_was_at_work(tmp_path: Path) -> None:
    """The others that it was given had not begun."""

    async def story(pool: Pool) -> None:
        step, other = Step(tmp_path / "a", "import os\nos._exit(3)"), Step(tmp_path / "b", "1")
        put(pool, step, other)
        await ended(step, other)

        assert step.heard == [EventType.STARTED]
        assert (step.exit_code, other.outcome) == (3, EventType.SUCCEEDED)

    tell(story)


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "1 / 0"])
def test_a_fork_that_comes_back_from_a_step_is_no_second_process_of_the_pool(
    tmp_path: Path, end: str
) -> None:
    """It took the rights to later steps, and wrote the notebook of its own a second time."""
    source = f"""
import os
pid = os.fork()
if not pid:
    {end or "pass"}
else:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

    async def story(pool: Pool) -> None:
        step, other = Step(tmp_path / "a", source), Step(tmp_path / "b", "1")
        put(pool, step, other)
        await ended(step, other)

        assert {step.outcome, other.outcome} == {EventType.SUCCEEDED}
        (cell,) = json.loads((step.run / "output.ipynb").read_text())["cells"]
        status = {"": "0\n", "1 / 0": "1\n"}.get(end, "3\n")
        # Python 3.12 warns of forks beside threads.
        (said,) = (one["text"] for one in cell["outputs"] if one["name"] == "stdout")
        assert "".join(said) == status
        assert json.loads((step.run / "summary.json").read_text())["state"] == "success"

    tell(story)


#: Speaks once the step is over.
_LEAVES_A_THREAD = """
import pathlib, threading, time
from opspawn_jupyter import step
def speak():
    while not pathlib.Path({{run!r}}, "release").exists():
        time.sleep(0.01)
    print("of another step")
    step.output("of another", "step")
threading.Thread(target=speak, daemon={is_daemon}).start()
"""


@pytest.mark.parametrize("is_daemon", [True, False])
def test_a_thread_that_a_step_leaves_says_nothing_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_daemon: bool
) -> None:
    """Its words would be those of a step that knows nothing of it. Those who wait behind many of
    them are not called lost."""
    monkeypatch.setattr("opspawn_jupyter.worker.pool._PROCESSES", 1)
    source = _LEAVES_A_THREAD.format(is_daemon=is_daemon)

    async def story(pool: Pool) -> None:
        first = [Step(tmp_path / f"a{number}", source) for number in range(6)]
        second = Step(tmp_path / "b", "import time\nfor _ in range(50): time.sleep(0.01)")
        put(pool, *first, second)
        for step in first:
            await step.over.wait()
            step.release()
        await ended(second)

        assert {step.outcome for step in (*first, second)} == {EventType.SUCCEEDED}
        assert second.heard == [EventType.STARTED, EventType.SUCCEEDED]
        assert json.loads((second.run / "summary.json").read_text())["outputs"] == {}

    tell(story)


def test_an_alarm_that_a_step_leaves_does_not_go_off_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed, with what another one had set."""
    monkeypatch.setattr("opspawn_jupyter.worker.pool._PROCESSES", 1)

    async def story(pool: Pool) -> None:
        step = Step(tmp_path / "a", "import signal\nsignal.alarm(1000)")
        other = Step(tmp_path / "b", "import signal\nsignal.alarm(0)")
        put(pool, step, other)
        await ended(step, other)

        (cell,) = json.loads((other.run / "output.ipynb").read_text())["cells"]
        assert cell["outputs"][0]["data"]["text/plain"] == ["0"]

    tell(story)


@pytest.mark.parametrize("source", [
    "import sys\nsys.__stdout__.write('kept back ')",
    "import ctypes\nctypes.CDLL(None).printf(b'kept back ')",
])  # fmt: skip
def test_what_is_kept_of_a_standard_stream_goes_to_the_log_of_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """It went to the log of a later one, once enough of it had come together."""
    monkeypatch.setattr("opspawn_jupyter.worker.pool._PROCESSES", 1)

    async def story(pool: Pool) -> None:
        written = "import ctypes, sys\nsys.__stdout__.flush()\nctypes.CDLL(None).fflush(None)"
        step, other = Step(tmp_path / "a", source), Step(tmp_path / "b", written)
        put(pool, step, other)
        await ended(step, other)

        assert "kept back" in (step.run / "run.log").read_text()
        assert "kept back" not in (other.run / "run.log").read_text()

    tell(story)
