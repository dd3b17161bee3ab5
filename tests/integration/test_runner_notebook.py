"""Real notebooks in real kernels, each in a real runner process, without a server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.kernels.servers import DIRECTORY_VARIABLE, OWNER_VARIABLE
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment, Grace, OutputLimits, ReportedEvent
from opspawn_jupyter.worker.attempt import Attempt
from opspawn_jupyter.worker.fork_servers import ForkServers
from opspawn_jupyter.worker.launcher import Launcher
from opspawn_jupyter.worker.outbox import Outbox
from opspawn_jupyter.worker.spares import RunnerProcess, SpareRunners
from tests.stopwatch import Stopwatch

QUICK = Grace(interrupt_seconds=1.0, terminate_seconds=2.0)
#: By its id the processes of a run are found, also those of another run of these tests.
TASK_ID = f"0193-runner-test-{os.getpid()}"


class Listener(Outbox):
    """An outbox that lets a test wait for what happens."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[ReportedEvent] = []
        self._more = asyncio.Event()

    def add(self, task_id: str, attempt: int, *events: ReportedEvent) -> None:
        super().add(task_id, attempt, *events)
        self.events.extend(events)
        self._more.set()

    async def heard(self, kind: EventType, **data: Any) -> ReportedEvent:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for event in self.events:
                    if event.type is kind and data.items() <= dict(event.data).items():
                        return event
                self._more.clear()
                await self._more.wait()


During = Callable[[Attempt, Listener], Awaitable[None]]


@dataclass
class Ran:
    """What a run left behind."""

    events: list[ReportedEvent]
    directory: RunDirectory
    seconds: float

    @property
    def outcome(self) -> ReportedEvent:
        return self.events[-1]

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.outcome.data["error"])

    def of(self, kind: EventType) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.type is kind]

    @property
    def told(self) -> list[str]:
        """Cell states as the events tell them."""
        states = {cell["index"]: "not_run" for cell in self.of(EventType.CELLS_PLANNED)[0]["cells"]}
        states |= {done["index"]: done["state"] for done in self.of(EventType.CELL_FINISHED)}
        outcome = self.outcome.type.value.removeprefix("task.")
        for started in self.of(EventType.CELL_STARTED):
            if states[started["index"]] == "not_run":
                states[started["index"]] = outcome
        return list(states.values())

    @property
    def notebook(self) -> Any:
        return nbformat.read(self.directory.output, as_version=4)

    @property
    def code(self) -> list[Any]:
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def written(self) -> list[str]:
        """Cell states as the executed notebook tells them."""
        return [cell.metadata.opspawn.state for cell in self.code]

    @property
    def papermill(self) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.code]

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self.directory.summary.read_text()))

    def text(self, place: int) -> str:
        """All stream text of the code cell at this place."""
        outputs = self.code[place].outputs
        return "".join(out.text for out in outputs if out.output_type == "stream")


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def fork_servers() -> Iterator[ForkServers]:
    """What the kernels of this module are forked from; runners find it by the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name in (DIRECTORY_VARIABLE, OWNER_VARIABLE):
            environment.setenv(name, "")  # and back, at the end
        servers = ForkServers()
        yield servers
        servers.close()


@pytest.fixture
def run(tmp_path: Path, fork_servers: ForkServers) -> Iterator[Run]:
    """Runs a notebook, given by its cells' sources or whole, and checks that nothing is left."""
    processes: set[int] = set()

    def start(
        *cells: Any,
        during: During | None = None,
        grace: Grace = QUICK,
        deaths: int = 0,
        **more: Any,
    ) -> Ran:
        content = cells[0] if isinstance(cells[0], dict) else notebook(*cells)
        directory = RunDirectory(tmp_path / "runs" / "weird {name} 'of' ünïcode")
        directory.artifacts.mkdir(parents=True)
        directory.input.write_text(json.dumps(content))
        given = assignment(directory, tmp_path, **more)
        ran = asyncio.run(carry_out(given, during, grace, fork_servers, deaths))
        processes.update(one["pid"] for one in ran.of(EventType.KERNEL_STARTED))
        return ran

    yield start
    for pid in processes:
        wait_gone(pid)


def notebook(*cells: Any, kernelspec: bool = True, minor: int = 5) -> dict[str, Any]:
    """nbformat 4 JSON; a cell is its source, or source and tags."""
    made = []
    for number, cell in enumerate(cells):
        source, *tags = (cell,) if isinstance(cell, str) else cell
        made.append(
            {
                "cell_type": "code",
                "source": source,
                "metadata": {"tags": tags} if tags else {},
                "outputs": [],
                "execution_count": None,
                **({"id": f"cell-{number}"} if minor >= 5 else {}),
            }
        )
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": spec} if kernelspec else {}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def assignment(
    directory: RunDirectory,
    root: Path,
    *,
    policy: Policy | None = None,
    kernel: str = "python3",
    language: str = "python",
    parameters: dict[str, Any] | None = None,
    tier: str = "kernel",
    **more: Any,
) -> Assignment:
    spec = {
        "notebook": "source.ipynb",
        "parameters": parameters or {},
        "kernel": kernel,
        "language": language,
        "working_directory": ".",
        "source_sha256": "",
        "tier": tier,
    }
    return Assignment(
        task_id=TASK_ID,
        attempt=1,
        kind="notebook",
        name="source",
        spec=spec,
        policy=policy or Policy(),
        run_directory=str(directory.path),
        root_directory=str(root),
        **more,
    )


class DyingSpares(SpareRunners):
    """Of which so many are killed just before they are given their task."""

    deaths = 0

    async def take(self) -> RunnerProcess:
        runner = await super().take()
        if self.deaths and runner.handle is not None:
            self.deaths -= 1
            runner.handle.kill()
        return runner


async def carry_out(
    given: Assignment,
    during: During | None,
    grace: Grace,
    fork_servers: ForkServers,
    deaths: int = 0,
) -> Ran:
    launcher = Launcher()
    listener = Listener()
    spares = DyingSpares(launcher, grace, 0)
    spares.deaths = deaths
    attempt = Attempt(
        given, worker_id="w", grace=grace, launcher=launcher,
        spares=spares, fork_servers=fork_servers,
        outbox=listener,
    )  # fmt: skip
    started = time.monotonic()
    running = asyncio.ensure_future(attempt.run())
    try:
        if during is not None:
            await during(attempt, listener)
        await asyncio.wait_for(running, PATIENCE_SECONDS)
    finally:
        if not running.done():
            attempt.abandon("the test is over")
            await running
        launcher.close()
    directory = RunDirectory(Path(given.run_directory))
    return Ran(listener.events, directory, time.monotonic() - started)


def cancel_in(index: int) -> During:
    """Cancels as soon as the cell says that it is at work, by printing."""

    async def during(attempt: Attempt, listener: Listener) -> None:
        await listener.heard(EventType.CELL_OUTPUT, index=index)
        attempt.cancel()

    return during


def runner_of(attempt: Attempt) -> psutil.Process:
    """The process that carries the attempt out."""
    runner = attempt._runner
    assert runner is not None
    return runner


def is_alive(pid: int) -> bool:
    """It runs; a dead process that its new parent has not collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_a_notebook_that_succeeds_leaves_a_whole_run_directory(run: Run) -> None:
    """The thin path: everything that the contract promises of one good run."""
    ran = run("import os\nprint('hello')", "40 + 2", "print(os.environ['OPSPAWN_TASK_ID'])")

    assert ran.of(EventType.KERNEL_STARTED)[0]["tier"] == "kernel"
    kinds = [event.type.value for event in ran.events if event.type.is_durable]
    assert kinds == [
        "task.started",
        "kernel.started",
        "cells.planned",
        *["cell.started", "cell.finished"] * 3,
        "task.succeeded",
    ]
    assert [event.number for event in ran.events if event.number] == list(range(1, 11))
    assert ran.told == ran.written == ["success"] * 3
    assert ran.papermill == ["completed"] * 3
    assert ran.text(0) == "hello\n"
    assert ran.text(2) == f"{TASK_ID}\n"
    assert ran.notebook.metadata.papermill.exception is None
    assert ran.summary["state"] == "success"
    assert [cell["state"] for cell in ran.summary["cells"]] == ["success"] * 3
    lines = ran.directory.events.read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines] == kinds
    log = ran.directory.log.read_text()
    assert "cell 1 of 3 started: import os" in log
    assert "hello\n" in log
    assert "task success after" in log
    environment = json.loads(ran.directory.environment.read_text())
    assert environment["kernel"]["name"] == "python3"
    assert environment["distributions_of"] == "kernel"
    assert "papermill" in environment["distributions"]


def test_a_runner_that_is_killed_before_it_has_begun_has_a_successor(run: Run) -> None:
    """Where memory is short the system may end one that waits; no cell has run by then."""
    ran = run("1", deaths=1)

    assert ran.outcome.type is EventType.SUCCEEDED
    assert [event.type for event in ran.events].count(EventType.STARTED) == 1


def test_runners_that_are_killed_again_and_again_end_the_task(run: Run) -> None:
    """Something is wrong that another runner does not mend."""
    ran = run("1", deaths=3)

    assert ran.outcome.type is EventType.CRASHED
    assert ran.error["signal"] == "SIGKILL"


@pytest.mark.parametrize("tier", ["kernel", "direct"])
def test_a_notebook_that_cannot_be_read_leaves_no_kernel(run: Run, tier: str) -> None:
    """One was asked for before it was read."""
    ran = run({"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}, tier=tier)

    assert ran.outcome.type is EventType.FAILED
    assert not ran.of(EventType.KERNEL_STARTED)


def test_a_failure_in_cell_3_of_5_is_told_truthfully(run: Run) -> None:
    """papermill calls the cells after a failure completed; nobody may read that here."""
    ran = run("1", "2", "1 / 0", "4", "5")

    expected = ["success", "success", "failed", "not_run", "not_run"]
    assert ran.outcome.type is EventType.FAILED
    assert ran.told == ran.written == expected
    assert [cell["state"] for cell in ran.summary["cells"]] == expected
    assert ran.papermill == ["completed", "completed", "failed", "pending", "pending"]
    assert ran.error["name"] == "ZeroDivisionError"
    assert ran.error["message"] == "division by zero"
    assert ran.error["cell_index"] == 2
    assert ran.error["traceback"]
    tags = [cell.metadata.get("tags") for cell in ran.notebook.cells if "span" in cell.source]
    assert tags == [["papermill-error-cell-tag"]] * 2
    assert ran.notebook.metadata.papermill.exception is True


def test_a_cell_that_runs_into_its_limit_is_timed_out(run: Run) -> None:
    """Our limit is not the code's failure, and what the cell printed before is kept."""
    code = "import time\nprint('working', flush=True)\ntime.sleep(600)"
    ran = run("1", code, "3", policy=Policy(cell_timeout_seconds=4.0))

    assert ran.outcome.type is EventType.TIMED_OUT
    assert ran.told == ran.written == ["success", "timed_out", "not_run"]
    assert ran.papermill == ["completed", "failed", "pending"]
    assert ran.text(1) == "working\n"
    assert "limit of 4 seconds" in ran.error["message"]


def test_a_run_that_runs_into_its_limit_is_timed_out(run: Run, tmp_path: Path) -> None:
    """The limit of the run holds over cells that are each quick enough."""
    # The first kernel of all may take as long to come up.
    run("1").directory.path.rename(tmp_path / "before")
    sleep = "import time; time.sleep(2)"
    ran = run(*[sleep] * 100, policy=Policy(timeout_seconds=8))

    assert ran.outcome.type is EventType.TIMED_OUT
    assert "timed_out" in ran.written
    assert ran.written[-1] == "not_run"
    assert ran.told == ran.written


def test_a_killed_kernel_is_a_crash_within_two_seconds(run: Run) -> None:
    """The issue's own words; papermill alone leaves the notebook half written."""
    code = "import os, time\nprint(time.time(), flush=True)\nos.kill(os.getpid(), 9)"
    watch = Stopwatch()
    ran = run("1", code, "3")
    starved_seconds = max(0.0, ran.seconds - watch.seconds)

    assert ran.outcome.type is EventType.CRASHED
    assert ran.error["signal"] == "SIGKILL"
    assert ran.error["cell_index"] == 1
    assert ran.told == ran.written == ["success", "crashed", "not_run"]
    finished = [event for event in ran.events if event.type is EventType.CELL_FINISHED][-1]
    started = [event for event in ran.events if event.type is EventType.CELL_STARTED][-1]
    assert (finished.at - started.at).total_seconds() < 2 + starved_seconds
    assert (ran.outcome.at - started.at).total_seconds() < 2 + starved_seconds


def test_cancel_interrupts_a_sleeping_cell(run: Run) -> None:
    """The gentle way must be quick, and keep what was there."""
    code = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"
    ran = run("1", code, "3", during=cancel_in(1))

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.told == ran.written == ["success", "cancelled", "not_run"]
    assert ran.text(1) == "asleep\n"
    assert [cell["state"] for cell in ran.summary["cells"]] == ran.written


def test_cancel_ends_a_cell_that_ignores_every_polite_word(run: Run) -> None:
    """Code that swallows SIGINT and SIGTERM, as C libraries do, is killed in the end."""
    code = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(600)
"""
    ran = run(code, "2", during=cancel_in(0))

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.written == ["cancelled", "not_run"]
    wait_gone(ran.of(EventType.KERNEL_STARTED)[0]["pid"])


@pytest.mark.parametrize("escape", [False, True], ids=["same-group", "own-session"])
def test_cancel_ends_what_cells_started(run: Run, escape: bool) -> None:
    """A cancelled task that keeps computing in a subprocess is not cancelled."""
    code = f"""
import subprocess
child = subprocess.Popen(['sleep', '600'], start_new_session={escape})
print(child.pid, flush=True)
child.wait()
"""
    ran = run(code, during=cancel_in(0))

    assert ran.outcome.type is EventType.CANCELLED
    wait_gone(int(ran.text(0)))


DAEMON = """
import os, time, warnings
warnings.simplefilter('ignore')  # Python 3.12 warns of forks beside threads
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writer, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
print(os.read(reader, 20).decode(), flush=True)
"""


def test_a_daemon_without_a_program_of_its_own_ends_with_the_run(run: Run) -> None:
    """It has no parent, no group and no environment that would tell whose it is."""
    ran = run(DAEMON)

    assert ran.outcome.type is EventType.SUCCEEDED
    wait_gone(int(ran.text(0)))


def test_a_killed_fork_server_is_a_crash_and_leaves_nothing(run: Run) -> None:
    """The kernel dies with it; what the kernel had started is found by its mark. The next task
    gets a new fork server."""

    async def during(_attempt: Attempt, listener: Listener) -> None:
        kernel = await listener.heard(EventType.KERNEL_STARTED)
        await listener.heard(EventType.CELL_OUTPUT, index=1)
        psutil.Process(kernel.data["pid"]).parent().kill()  # type: ignore[union-attr]

    code = "print('at work', flush=True)\ntime.sleep(600)"
    ran = run(DAEMON, code, "3", during=during)

    assert ran.outcome.type is EventType.CRASHED
    assert ran.written == ["success", "crashed", "not_run"]
    wait_gone(int(ran.text(0)))


def test_cancel_before_the_kernel_is_up(run: Run) -> None:
    """There is no cell to interrupt yet, and there must never be one."""

    async def during(attempt: Attempt, listener: Listener) -> None:
        await listener.heard(EventType.STARTED)
        attempt.cancel()

    ran = run("print('never')", during=during)

    assert ran.outcome.type is EventType.CANCELLED
    assert not ran.of(EventType.CELL_STARTED)


def test_a_killed_runner_is_a_crash_and_its_kernel_goes_with_it(run: Run) -> None:
    """The worker takes over: it names the signal and puts the notebook right."""

    async def during(attempt: Attempt, listener: Listener) -> None:
        await listener.heard(EventType.CELL_OUTPUT, index=1)
        runner_of(attempt).kill()

    code = "import time\nprint('at work', flush=True)\ntime.sleep(600)"
    ran = run("1", code, "3", during=during)

    assert ran.outcome.type is EventType.CRASHED
    assert ran.error["signal"] == "SIGKILL"
    assert ran.written == ["success", "crashed", "not_run"]
    assert [cell["state"] for cell in ran.summary["cells"]] == ran.written
    assert ran.notebook.metadata.papermill.exception is True
    wait_gone(ran.of(EventType.KERNEL_STARTED)[0]["pid"])


def test_a_stopped_runner_is_killed_by_the_worker(run: Run, monkeypatch: Any) -> None:
    """The runner is only the first to obey a cancel: the worker waits, and then does it."""
    monkeypatch.setattr("opspawn_jupyter.worker.attempt._MARGIN_SECONDS", 0.1)

    async def during(attempt: Attempt, listener: Listener) -> None:
        await listener.heard(EventType.CELL_OUTPUT, index=0)
        runner_of(attempt).suspend()
        attempt.cancel()

    grace = Grace(interrupt_seconds=0.2, terminate_seconds=0.2)
    code = "import time\nprint('at work', flush=True)\ntime.sleep(600)"
    ran = run(code, "2", during=during, grace=grace)

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.written == ["cancelled", "not_run"]


def test_tagged_cells_behave_as_in_jupyter_execute(run: Run) -> None:
    """papermill alone takes the wanted exception for a failure."""
    ran = run(("1 / 0", "raises-exception"), ("1 / 0", "skip-execution"), "", "print('end')")

    assert ran.outcome.type is EventType.SUCCEEDED
    assert ran.told == ran.written == ["success", "not_run", "not_run", "success"]
    assert ran.code[0].outputs[0].ename == "ZeroDivisionError"
    assert ran.papermill == ["completed", "pending", "pending", "completed"]


def test_cleared_outputs_are_gone_and_progress_bars_are_one_line(run: Run) -> None:
    """What a person would see at the end is what is stored."""
    code = """
from IPython.display import clear_output
print('old'); clear_output(wait=True); print('new')
for n in range(100): print(f'\\r{n} %', end='')
"""
    both = "import sys\nfor to in sys.stdout, sys.stderr, sys.stdout: print(1, file=to, flush=True)"
    ran = run(code, both)

    assert ran.text(0) == "new\n99 %"
    assert [out.name for out in ran.code[1].outputs] == ["stdout", "stderr", "stdout"]
    shown = [data for data in ran.of(EventType.CELL_OUTPUT) if data["index"] == 0]
    assert {"index": 0, "clear": True, "output_number": 2} in shown


def test_a_display_is_updated_where_it_stands(run: Run) -> None:
    """Also by a later cell; listeners are told which display it was."""
    ran = run(
        "handle = display('before', display_id='here')",
        "handle.update('after')",
    )

    assert ran.code[0].outputs[0].data["text/plain"] == "'after'"
    assert ran.code[1].outputs == []
    updates = [data for data in ran.of(EventType.CELL_OUTPUT) if "update" in data]
    assert updates[0]["update"] == "here"
    assert updates[0]["output"]["data"]["text/plain"] == "'after'"


def test_a_plot_is_stored_as_an_image(run: Run) -> None:
    """The commonest output of all."""
    ran = run("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);")

    assert ran.outcome.type is EventType.SUCCEEDED
    assert any("image/png" in out.get("data", {}) for out in ran.code[0].outputs)


def test_a_large_output_is_whole_in_the_notebook_and_short_in_events(run: Run) -> None:
    """A listener needs a sign of life, not 10 MB; the notebook needs everything."""
    code = "from IPython.display import HTML\nHTML('x' * 500_000)"
    ran = run(code, "for n in range(20000): print(n)")

    assert len(ran.code[0].outputs[0].data["text/html"]) == 500_000
    told = [data for data in ran.of(EventType.CELL_OUTPUT) if data["index"] == 0]
    assert told[0]["output"]["metadata"]["opspawn"]["elided_bytes"] > 500_000
    assert ran.text(1) == "".join(f"{n}\n" for n in range(20000))
    assert len(ran.code[1].outputs) == 1


def test_thousands_of_displays_arrive(run: Run) -> None:
    """zmq drops messages beyond a thousand in silence where it is not told otherwise."""
    ran = run("for n in range(3000): display(n)", output_limits=OutputLimits(cell_outputs=5_000))

    assert len(ran.code[0].outputs) == 3000


def test_an_old_notebook_without_ids_and_kernelspec_runs(run: Run) -> None:
    """nbformat 4.0 had neither; the executed notebook can be opened with the right kernel."""
    ran = run(notebook("print('old')", kernelspec=False, minor=0))

    assert ran.outcome.type is EventType.SUCCEEDED
    assert ran.text(0) == "old\n"
    assert ran.notebook.metadata.kernelspec.name == "python3"
    nbformat.validate(ran.notebook)


def test_parameters_are_injected_after_the_parameters_cell(run: Run) -> None:
    """papermill's conventions are the contract."""
    ran = run(("region = 'US'\nyear = 1", "parameters"), "print(region, year)",
              parameters={"region": "EU {x}", "year": 2026})  # fmt: skip

    assert ran.text(2) == "EU {x} 2026\n"
    assert ran.code[1].metadata.tags == ["injected-parameters"]
    assert ran.notebook.metadata.papermill.parameters == {"region": "EU {x}", "year": 2026}
    assert [cell["index"] for cell in ran.of(EventType.CELLS_PLANNED)[0]["cells"]] == [0, 1, 2]


def test_step_messages_become_events_and_no_outputs(run: Run) -> None:
    """A step's values belong to the task, not into the notebook's pages."""
    code = """
def say(message):
    display({'application/vnd.opspawn.step+json': message}, raw=True)
say({'output': {'name': 'rows', 'value': [1, 2]}})
for n in range(500): say({'progress': {'fraction': n / 499, 'text': str(n)}})
say({'log': {'text': 'half way'}})
"""
    ran = run(code)

    assert ran.code[0].outputs == []
    assert ran.of(EventType.STEP_OUTPUT) == [{"name": "rows", "value": [1, 2]}]
    progress = ran.of(EventType.STEP_PROGRESS)
    assert progress[-1] == {"fraction": 1.0, "text": "499"}
    assert len(progress) < 250
    assert ran.of(EventType.STEP_LOG) == [{"text": "half way"}]
    assert ran.summary["outputs"] == {"rows": [1, 2]}
    assert "half way" in ran.directory.log.read_text()


def test_strange_text_stays_valid_json(run: Run) -> None:
    """A kernel may print anything, half of a surrogate pair included."""
    ran = run(r"print('naïve ☃ \x00\x1b[31m'); print('𝄞')", r"print('\ud800')")

    assert ran.text(0) == "naïve ☃ \x00\x1b[31m\n𝄞\n"
    assert len(ran.code) == 2
    json.loads(ran.directory.output.read_bytes())


@pytest.mark.parametrize(
    ("code", "outcome", "state"),
    [
        ("import sys; sys.exit()", EventType.SUCCEEDED, "success"),
        ("import sys; sys.exit(0)", EventType.SUCCEEDED, "success"),
        ("import sys; sys.exit(3)", EventType.FAILED, "failed"),
        ("import sys; sys.exit('no data')", EventType.FAILED, "failed"),
    ],
)
def test_sys_exit_ends_the_notebook_as_it_ends_a_program(
    run: Run, code: str, outcome: EventType, state: str
) -> None:
    """papermill's rule: a clean exit is no failure. The cells after it did not run."""
    ran = run("1", code, "3")

    assert ran.outcome.type is outcome
    assert ran.told == ran.written == ["success", state, "not_run"]


def test_asking_for_input_fails_at_once(run: Run) -> None:
    """Nobody sits there to answer; without this the task would wait for ever."""
    ran = run("input('name? ')")

    assert ran.outcome.type is EventType.FAILED
    assert ran.error["name"] == "StdinNotImplementedError"


def test_the_kernel_does_not_get_our_tokens(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code in a notebook has no business with the server's secrets."""
    ran = run(
        "import os\nprint([n for n in os.environ if n.startswith(('JPY_', 'OPSPAWN_'))])",
        "import os\nprint(os.getcwd())",
    )

    assert ran.text(0) == "['OPSPAWN_TASK_ID', 'OPSPAWN_RUN_DIRECTORY', 'JPY_PARENT_PID']\n"
    assert ran.text(1) == f"{ran.directory.path.parent.parent}\n"


def test_a_kernel_that_does_not_exist_is_told_in_words(run: Run) -> None:
    """It was there when the task was accepted; now the outcome says what is missing."""
    ran = run("1", kernel="no-such-kernel")

    assert ran.outcome.type is EventType.CRASHED
    assert "no-such-kernel" in ran.error["message"]


def test_a_broken_input_fails_with_a_reason(run: Run) -> None:
    """The outcome is never missing, whatever lies in the run directory."""
    ran = run({"cells": "none"})

    assert ran.outcome.type is EventType.FAILED
    assert ran.error["name"]


def test_a_bash_notebook_runs_fails_and_is_cancelled(run: Run) -> None:
    """Nothing here may depend on Python in the kernel."""
    if "bash" not in KernelSpecManager().find_kernel_specs():
        pytest.skip("there is no Bash kernel: python -m bash_kernel.install --sys-prefix")

    ran = run("echo $greeting", "echo started; sleep 600", "echo never", during=cancel_in(2),
              kernel="bash", language="bash", parameters={"greeting": "hello"})  # fmt: skip

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.text(1) == "hello\n"
    assert ran.written == ["success", "success", "cancelled", "not_run"]
