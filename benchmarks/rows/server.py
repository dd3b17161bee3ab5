"""A notebook from its submission over REST until a client has heard of its end."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks import notebooks, servers
from benchmarks.account import accounts
from benchmarks.measure import Goal, Row, Size, Way

_PRELOAD = {"OPSPAWN_KERNELS_PRELOAD": "pandas"}
_WARM_UP = 3
_REST_SECONDS = 1.5
_KERNEL, _DIRECT, _SCRIPT = "opspawn, kernel", "opspawn, direct", "python script.py"
_SCHEDULER = "jupyter-scheduler"
_LOOP = "import time\nwhile True:\n    print('x' * 80, flush=True)\n    time.sleep(0.2)"


@contextmanager
def _three(_size: Size) -> Iterator[Mapping[str, Way]]:
    with _compared("three", notebooks.THREE, {}) as ways:
        yield ways


@contextmanager
def _pandas(_size: Size) -> Iterator[Mapping[str, Way]]:
    with _compared("frame", notebooks.PANDAS, _PRELOAD, with_scheduler=False) as ways:
        yield ways


@contextmanager
def _compared(
    name: str, sources: tuple[str, ...], variables: dict[str, str], *, with_scheduler: bool = True
) -> Iterator[Mapping[str, Way]]:
    with ExitStack() as stack:
        own = stack.enter_context(servers.ours(variables=variables))
        script = notebooks.write(own.root, name, sources).with_suffix(".py")
        for _ in range(_WARM_UP):
            own.submit_and_wait([f"{name}.ipynb"])
            own.submit_and_wait([f"{name}.ipynb"], tier="direct")
        ways: dict[str, Way] = {
            _KERNEL: partial(own.submit_and_wait, [f"{name}.ipynb"]),
            _DIRECT: partial(own.submit_and_wait, [f"{name}.ipynb"], tier="direct"),
            _SCRIPT: partial(_script, script),
        }
        if with_scheduler:
            other = stack.enter_context(servers.scheduler())
            notebooks.write(other.root, name, sources)
            ways[_SCHEDULER] = partial(other.submit_and_wait, [f"{name}.ipynb"])
        yield ways


@contextmanager
def _account(_size: Size) -> Iterator[Mapping[str, Way]]:
    with accounts() as ways:
        yield ways


def _script(path: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, path], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@contextmanager
def _throughput(size: Size) -> Iterator[Mapping[str, Way]]:
    with servers.ours() as own, servers.scheduler() as other:
        for one in (own, other):
            notebooks.write(one.root, "three", notebooks.THREE)
        own.submit_and_wait(["three.ipynb"])
        many, few = size.of(200, 8), size.of(10, 2)
        yield {
            _KERNEL: lambda: many / own.submit_and_wait(["three.ipynb"] * many),
            _DIRECT: lambda: many / own.submit_and_wait(["three.ipynb"] * many, tier="direct"),
            _SCHEDULER: lambda: few / other.submit_and_wait(["three.ipynb"] * few),
        }


@contextmanager
def _status(size: Size) -> Iterator[Mapping[str, Way]]:
    """Two servers of the same kind, of which one is at work."""
    running = size.of(100, 4)
    limit = f"--OpspawnExtension.max_running_tasks={running}"
    with servers.ours() as idle, servers.ours(limit) as busy:
        notebooks.write(busy.root, "loop", (_LOOP,))
        tasks = [busy.run(busy.submit("loop.ipynb", {})) for _ in range(running)]
        await_running(busy, [task.id for task in tasks])
        yield {
            "busy": partial(_status_seconds, busy),
            "idle": partial(_status_seconds, idle),
        }
        for task in tasks:
            busy.run(busy.client.cancel(task.id))


def await_running(one: servers.Ours, task_ids: Sequence[str]) -> None:
    """Return once cells of all of them run."""
    deadline = time.monotonic() + 600
    for task_id in task_ids:
        while one.run(one.client.task(task_id)).cells == ():
            if time.monotonic() > deadline:
                raise TimeoutError(task_id)
            time.sleep(0.05)


def _status_seconds(one: servers.Ours) -> float:
    request = urllib.request.Request(
        f"{one.process.url}api/status", headers={"Authorization": f"token {one.process.token}"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - began


ROWS = (
    Row(
        name="three",
        what="3-cell notebook, REST submit to end seen by the client",
        unit="s",
        ways=_three,
        rest_seconds=_REST_SECONDS,
        goals=(
            Goal(ours=_KERNEL, other=_SCHEDULER, at_least=80),
            Goal(ours=_DIRECT, other=_SCHEDULER, at_least=250),
            Goal(ours=_KERNEL, other=_SCRIPT, at_most=0.8),
            Goal(ours=_DIRECT, other=_SCRIPT, at_most=0.25),
        ),
    ),
    Row(
        name="account",
        what="where the time of a 3-cell notebook goes, from place to place (see timeline.py)",
        unit="ms",
        ways=_account,
    ),
    Row(
        name="pandas",
        what="pandas notebook (preloaded), REST submit to end seen by the client",
        unit="s",
        ways=_pandas,
        rest_seconds=_REST_SECONDS,
        goals=(
            Goal(ours=_KERNEL, other=_SCRIPT, at_most=0.15),
            Goal(ours=_DIRECT, other=_SCRIPT, at_most=0.1),
        ),
    ),
    Row(
        name="throughput",
        what="200 notebooks of 3 cells submitted at once (peer: 10)",
        unit="per s",
        ways=_throughput,
        goals=(
            Goal(ours=_KERNEL, other=_SCHEDULER, at_least=50),
            Goal(ours=_DIRECT, other=_SCHEDULER, at_least=150),
        ),
        rounds=2,
        more_is_better=True,
    ),
    Row(
        name="status",
        what="/api/status of a server with 100 running tasks that print, and of an idle one",
        unit="s",
        ways=_status,
        goals=(Goal(ours="busy", other="idle", at_most=2),),
        rounds=50,
    ),
)
