"""What a notebook sees of its kernel: the same, however the kernel was started.

Every check runs against the stock provisioner too: it says what "the same" means.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager, KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.client import SwiftKernelManager

FORK = "opspawn-fork"
HISTORY = "--HistoryManager.hist_file=:memory:"

#: Way of starting -> provisioner, transport of waiting kernels, arguments of the launch. A waiting
#: kernel serves only launches with the arguments it was brought up with.
WAYS = {
    "stock": ("local-provisioner", "ipc", [HISTORY]),
    "waiting-ipc": (FORK, "ipc", [HISTORY]),
    "waiting-tcp": (FORK, "tcp", [HISTORY]),
    "forked": (FORK, "ipc", ["--HistoryManager.enabled=True", HISTORY]),
}


@dataclass
class Outcome:
    """What came of one cell."""

    status: str = ""
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    traceback: str = ""
    data: list[dict[str, Any]] = field(default_factory=list)

    @property
    def value(self) -> str:
        return self.data[-1]["text/plain"]

    def hear(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            setattr(self, content["name"], getattr(self, content["name"]) + content["text"])
        elif "data" in content:
            self.data.append(content["data"])
        elif message["msg_type"] == "error":
            self.error, self.traceback = content["ename"], "\n".join(content["traceback"])


@dataclass
class Kernel:
    """A running kernel and a stock, blocking client of it."""

    manager: KernelManager
    client: Any

    def run(self, code: str, **options: Any) -> Outcome:
        outcome = Outcome()
        reply = self.client.execute_interactive(
            code, output_hook=outcome.hear, timeout=PATIENCE_SECONDS, **options
        )
        outcome.status = reply["content"]["status"]
        return outcome

    def value(self, code: str) -> str:
        outcome = self.run(code)
        assert outcome.status == "ok", outcome
        return outcome.value

    def hear(self, outcome: Outcome, is_whole: Callable[[], bool]) -> None:
        """Add what still comes: ipykernel reads descriptors in its own time."""
        while not is_whole():
            outcome.hear(self.client.get_iopub_msg(timeout=PATIENCE_SECONDS))

    def start_busy(self, code: str) -> None:
        """Start a cell that does not end by itself, and wait until it runs."""
        # An error would also abort the cells that wait behind this one.
        self.client.execute(f"print('runs', flush=True)\n{code}", stop_on_error=False)
        self._wait_for(lambda m: m["content"].get("text", "").startswith("runs"))

    def error_after_interrupt(self) -> str:
        self.manager.interrupt_kernel()
        return self._wait_for(lambda m: m["msg_type"] == "error")["content"]["ename"]

    def _wait_for(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            if is_it(message):
                return message

    def end(self) -> int | None:
        """Shut down in good order; the exit code."""
        provisioner = self.manager.provisioner
        ended: list[int | None] = []
        wait = provisioner.wait

        async def noted() -> int | None:
            ended.append(await wait())
            return ended[-1]

        provisioner.wait = noted
        self.manager.shutdown_kernel()
        return ended[0]


@contextmanager
def short_directory() -> Iterator[Path]:
    """A private directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="osk-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """The fork servers of this module, which end with it."""
    with short_directory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSPAWN_KERNELS_DIRECTORY", str(directory))
        patch.setenv("OPSPAWN_KERNELS_PATIENCE_SECONDS", str(PATIENCE_SECONDS))
        patch.setenv("OPSPAWN_KERNELS_PRELOAD", "numpy,matplotlib.pyplot")
        patch.delenv("MPLBACKEND", raising=False)
        yield directory
        servers.stop_all(directory)


@pytest.fixture(scope="module", params=WAYS)
def way(request, place) -> Iterator[str]:
    """How the kernels of a test start."""
    provisioner, transport, _ = WAYS[request.param]
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[FORK] = EntryPoint(
        FORK, "opspawn_jupyter.kernels.provisioner:ForkProvisioner", factory.GROUP_NAME
    )
    before = factory.default_provisioner_name
    factory.default_provisioner_name = provisioner
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSPAWN_KERNELS_TRANSPORT", transport)
        yield request.param
    factory.default_provisioner_name = before
    servers.stop_all(place)


def kernel_environment(**variables: str) -> dict[str, str]:
    """An environment; ipykernel captures no file descriptors where it takes itself for tested."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return {**kept, **variables}


def expected_tier(way: str) -> str:
    return "cold" if way == "stock" else "kernel"


def tier(manager: KernelManager) -> str:
    """Who served; the stock provisioner has no word for it."""
    return getattr(manager.provisioner, "tier", "cold")


@contextmanager
def running(way: str, directory: Path, **variables: str) -> Iterator[Kernel]:
    """A kernel started in this way."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        extra_arguments=WAYS[way][2], cwd=str(directory), env=kernel_environment(**variables)
    )
    assert tier(manager) == expected_tier(way), manager.provisioner.tier_reason
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(way, directory) -> Iterator[Kernel]:
    """One kernel for all checks that leave it as it was."""
    with running(way, directory, OPSPAWN_TEST="here", TZ="Asia/Tokyo") as kernel:
        yield kernel


def test_the_kernel_works_in_the_directory_that_was_asked_for(kernel, directory):
    assert kernel.value("import os; os.getcwd()") == repr(str(directory))
    assert kernel.value("get_ipython().starting_dir") == repr(str(directory))
    assert kernel.value("str(_dh[0])") == repr(str(directory))


def test_modules_in_the_directory_can_be_imported(kernel, directory):
    (directory / "neighbour.py").write_text("answer = 42\n")

    assert kernel.value("import neighbour; neighbour.answer") == "42"


def test_the_kernel_has_the_environment_that_was_asked_for(kernel):
    assert kernel.value("os.environ['OPSPAWN_TEST']") == "'here'"
    assert kernel.run("import subprocess").status == "ok"
    seen = kernel.value("subprocess.check_output(['printenv', 'OPSPAWN_TEST'], text=True)")
    assert seen == r"'here\n'"


def test_a_variable_that_is_gone_is_gone_in_the_kernel(way, directory, monkeypatch):
    """The environment of whoever started the fork server must not shine through."""
    monkeypatch.setenv("OPSPAWN_GONE", "1")
    with running(way, directory):
        pass
    monkeypatch.delenv("OPSPAWN_GONE")

    with running(way, directory) as kernel:
        assert kernel.value("import os; os.environ.get('OPSPAWN_GONE', 'gone')") == "'gone'"


def test_the_kernel_sets_the_variables_that_a_kernel_sets(kernel):
    assert kernel.value("os.environ['PAGER']") == "'cat'"
    assert kernel.value("os.environ['MPLBACKEND']").startswith("'module://matplotlib_inline")
    assert "PYDEVD_DISABLE_FILE_VALIDATION" not in kernel.value("dict(os.environ)")


def test_the_time_zone_is_the_environments(kernel):
    assert kernel.value("import time; time.strftime('%Z', time.localtime(0))") == "'JST'"


def test_the_kernel_finds_its_client(kernel):
    assert kernel.value("os.environ['JPY_PARENT_PID']") == repr(str(os.getpid()))


def test_the_kernel_leads_its_own_group_and_session(kernel):
    """An interrupt reaches what a cell has started, and nobody else."""
    pid = kernel.value("os.getpid()")

    assert kernel.value("os.getpgrp(), os.getsid(0)") == f"({pid}, {pid})"
    assert pid == str(kernel.manager.provisioner.pid)


def test_the_command_line_looks_as_always(kernel):
    file = kernel.manager.connection_file

    assert kernel.value("import sys; sys.argv[0].rpartition('/')[2]") == "'ipykernel_launcher.py'"
    assert kernel.value("sys.argv[1:3]") == repr(["-f", os.path.realpath(file)])
    assert kernel.value("sys.orig_argv[1:3]") == repr(["-m", "ipykernel_launcher"]) or (
        "-Xfrozen_modules=off" in kernel.value("sys.orig_argv")
    )
    assert not [path for path in kernel.value("sys.path").split("'") if "forking" in path]


def test_printed_text_arrives(kernel):
    outcome = kernel.run("print('out'); print('err', file=sys.stderr)")

    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")


def test_text_written_to_file_descriptors_arrives(kernel):
    """Extension modules print so."""
    outcome = kernel.run("os.write(1, b'low'); os.write(2, b'level')")
    kernel.hear(outcome, lambda: len(outcome.stdout + outcome.stderr) >= len("lowlevel"))

    assert (outcome.stdout, outcome.stderr) == ("low", "level")


def test_text_of_subprocesses_arrives(kernel):
    outcome = kernel.run("subprocess.run(['echo', 'child']);")
    kernel.hear(outcome, lambda: outcome.stdout.endswith("\n"))

    assert outcome.stdout == "child\n"


def test_shell_lines_work(kernel):
    assert kernel.run("!echo from the shell").stdout.strip() == "from the shell"


def test_an_error_has_its_name_and_traceback(kernel):
    outcome = kernel.run("def f():\n    1 / 0\nf()")

    assert (outcome.status, outcome.error) == ("error", "ZeroDivisionError")
    assert "fork" not in outcome.traceback


def test_top_level_await_works(kernel):
    assert kernel.value("import asyncio\nawait asyncio.sleep(0.01, 'awaited')") == "'awaited'"


def test_input_is_refused_where_nobody_can_answer(kernel):
    assert kernel.run("input()", allow_stdin=False).error == "StdinNotImplementedError"


def test_standard_input_is_empty(kernel):
    """A subprocess that reads must not take, or wait for, the client's input."""
    assert kernel.run("import subprocess").status == "ok"
    assert kernel.value("subprocess.run(['cat'], capture_output=True).stdout") == "b''"


def test_history_lists_and_magics_work(kernel):
    assert kernel.run("123 + 0").value == "123"
    assert kernel.value("_") == "123"
    assert kernel.value("In[-2]") == "'_'"
    assert "python" in kernel.run("%lsmagic").value
    assert kernel.run("%history -n 1").stdout.startswith("1:") or kernel.run("%history").stdout
    assert "123 + 0" in kernel.run("%history -g 123*").stdout
    assert kernel.run("%timeit -n1 -r1 pass").stdout
    assert kernel.run("%%bash\necho cell").stdout == "cell\n"


def test_connection_info_is_known_in_the_kernel(kernel):
    assert f'"shell_port": {kernel.manager.shell_port}' in kernel.run("%connect_info").stdout


def test_completion_and_inspection_answer(kernel):
    matches = kernel.client.complete("pri", reply=True, timeout=PATIENCE_SECONDS)
    found = kernel.client.inspect("print", reply=True, timeout=PATIENCE_SECONDS)

    assert "print" in matches["content"]["matches"]
    assert found["content"]["found"]


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_works(kernel, method):
    outcome = kernel.run(
        f"import math, multiprocessing as m, warnings\n"
        f"warnings.simplefilter('ignore', DeprecationWarning)\n"
        f"with m.get_context({method!r}).Pool(2) as pool:\n"
        f"    result = pool.map(math.sqrt, [1, 4])\n"
        f"result"
    )

    assert outcome.value == "[1.0, 2.0]", outcome


def test_threads_print(kernel):
    outcome = kernel.run(
        "import threading\n"
        "threads = [threading.Thread(target=print, args=('t',)) for _ in range(3)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; None"
    )

    assert outcome.stdout.count("t") == 3


def test_a_comm_can_be_opened(kernel):
    """Widgets live on comms."""
    code = "import comm; c = comm.create_comm(target_name='t'); c.comm_id"

    assert kernel.value(code)


def test_a_client_that_comes_later_hears_what_a_cell_prints(kernel, directory):
    """It may come at any moment, also while the kernel is sending."""
    heard = directory / "heard"
    kernel.start_busy(
        f"import os, time\nwhile not os.path.exists({str(heard)!r}):\n"
        "    print('.', flush=True); time.sleep(0.001)"
    )
    with kernel.manager.connect_iopub() as other:
        other.rcvtimeo, other.linger = int(PATIENCE_SECONDS * 1000), 0
        while other.recv_multipart()[0] != b"stream.stdout":
            pass
    heard.touch()

    assert kernel.value("1 + 1") == "2"
    heard.unlink()


def test_the_heart_beats(kernel):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not kernel.client.hb_channel.is_beating() and time.monotonic() < deadline:
        kernel.value("1")

    assert kernel.client.hb_channel.is_beating()


def test_a_plot_is_shown(kernel):
    """A preloaded matplotlib that missed the shell would show nothing at all."""
    outcome = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")

    assert any("image/png" in data for data in outcome.data), outcome


def test_a_file_can_take_the_kernels_own_output(way, directory):
    """A runner collects there what escapes the protocol, such as a crash's last words."""
    manager = KernelManager(kernel_name="python3")
    with (directory / "own.log").open("w+") as file:
        manager.start_kernel(
            extra_arguments=WAYS[way][2], env=kernel_environment(), stdout=file, stderr=file
        )
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        Kernel(manager, client).run("import sys; print('last words', file=sys.__stderr__)")
        client.stop_channels()
        manager.shutdown_kernel()

        file.seek(0)
        assert "last words" in file.read()


@pytest.mark.parametrize("busy", ["import time; time.sleep(600)", "while True: pass"])
def test_an_interrupt_ends_the_cell_and_not_the_kernel(way, directory, busy):
    with running(way, directory) as kernel:
        kernel.start_busy(busy)

        assert kernel.error_after_interrupt() == "KeyboardInterrupt"
        assert kernel.value("'alive'") == "'alive'"


def test_a_restart_keeps_ports_directory_environment_and_client(way, directory):
    """Clients stay connected over a restart; so does JupyterLab."""
    with running(way, directory, OPSPAWN_TEST="kept") as kernel:
        before = kernel.value("import os; x = 1; os.getpid()")
        ports = kernel.manager.ports

        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=PATIENCE_SECONDS)

        assert kernel.manager.ports == ports
        assert kernel.run("x").error == "NameError"
        assert kernel.value("import os; os.getpid()") != before
        assert kernel.value("os.getcwd()") == repr(str(directory))
        assert kernel.value("os.environ['OPSPAWN_TEST']") == "'kept'"
        assert tier(kernel.manager) == expected_tier(way)


@pytest.mark.parametrize(
    ("crash", "code"),
    [("os._exit(3)", 3), ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV)],
)
def test_a_crash_is_seen_with_its_exit_code(way, directory, crash, code):
    """A task must be able to say how its kernel died."""
    with running(way, directory) as kernel:
        kernel.client.execute(f"import os, signal\n{crash}")

        deadline = time.monotonic() + PATIENCE_SECONDS
        while kernel.manager.is_alive() and time.monotonic() < deadline:
            pass
        assert asyncio.run(kernel.manager.provisioner.poll()) == code
        assert asyncio.run(kernel.manager.provisioner.wait()) == code
        assert not kernel.manager.has_kernel


def test_killing_takes_the_cells_processes_along(way, directory):
    with running(way, directory) as kernel:
        child = int(kernel.value("import subprocess; subprocess.Popen(['sleep', '600']).pid"))

        kernel.manager.shutdown_kernel(now=True)

        assert not kernel.manager.has_kernel
        wait_until(lambda: not is_running(child))


def test_an_orderly_end_runs_exit_handlers_and_waits_for_threads(way, directory):
    """Data may be written there."""
    marks = directory / f"marks-{way}"
    with running(way, directory) as kernel:
        kernel.run(
            f"import atexit, threading, time\n"
            f"file = open({str(marks)!r}, 'w')\n"
            f"atexit.register(lambda: (file.write('handler '), file.close()))\n"
            f"def late():\n"
            f"    time.sleep(0.5)\n"
            f"    file.write('thread ')\n"
            f"threading.Thread(target=late).start()\n"
        )

        assert kernel.end() == 0

        assert marks.read_text() == "thread handler "


def test_random_numbers_differ_between_kernels(way, directory):
    """Forks of one process would all draw the same."""
    code = (
        "import random, uuid, secrets, numpy\n"
        "[random.random(), str(uuid.uuid4()), secrets.token_hex(4), numpy.random.random(),"
        " numpy.random.default_rng().random(), *session()]"
    )
    session = (
        "def session():\n    kernel = get_ipython().kernel\n"
        "    return kernel.ident, kernel.session.key, kernel.session.session"
    )

    with running(way, directory) as one, running(way, directory) as two:
        assert one.run(session).status == two.run(session).status == "ok"
        drawn = [eval(kernel.value(code)) for kernel in (one, two)]

    assert all(a != b for a, b in zip(*drawn, strict=True)), drawn


def test_the_hash_seed_is_as_configured(way, directory):
    """Reproducible runs set it, and it cannot be set after the start of a process."""
    expected = subprocess.check_output(
        [sys.executable, "-c", "print(hash('opspawn'))"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        text=True,
    )

    with running(way, directory, PYTHONHASHSEED="7") as kernel:
        assert kernel.value("hash('opspawn')") == expected.strip()


FACTS = """
import builtins, json, logging, signal, sys, threading
shell = get_ipython()

def kind(thing):
    classes = type(thing).__mro__
    return next(c.__name__ for c in classes if not c.__module__.startswith("opspawn"))

# The application's own part names the connection file; libraries only look whether it is there.
config = {k: not k.endswith("App") and dict(v) for k, v in shell.config.items()}
config.pop("ForkedKernelApp", None)
config["HistoryManager"].pop("enabled", None)  # what kernels that do not wait are started with
# A stock kernel watches its parent, in the thread that comes first.
threads = [t.name.partition("-")[0] for t in threading.enumerate() if t.name != "Thread-1"]
print(json.dumps({
    "shell": f"{type(shell).__module__}.{type(shell).__name__}",
    "singletons": shell is type(shell).instance() and shell.kernel is type(shell.kernel).instance(),
    "config": config,
    "configurables": [kind(c) for c in shell.configurables if kind(c) != "InlineBackend"],
    "parents": [kind(shell.parent), kind(shell.parent.parent), kind(shell.history_manager.parent)],
    "names": sorted(name for name in shell.user_ns if name not in ("__file__", "__session__")),
    "hidden": sorted(shell.user_ns_hidden),
    "main": vars(sys.modules["__main__"]) is shell.user_ns,
    "threads": sorted(threads),
    "hooks": [sys.excepthook.__name__, sys.displayhook is shell.displayhook, sys.ps1],
    "streams": [shell._orig_sys_module_state[n] is getattr(sys, n) for n in ("stdout", "stderr")],
    "handlers": [[repr(type(h)) for h in logging.getLogger(n).handlers] for n in ("", "tornado")],
    "log": [handler.level for handler in shell.kernel.log.handlers],
    "signals": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGCHLD)],
    "directories": sorted(map(str, _dh)) == [str(shell.starting_dir)],
    "history": [shell.history_manager.session_number, str(shell.history_manager.hist_file)],
    "count": shell.execution_count,
    "profile": str(shell.profile_dir.location),
    "pdb": str(__import__("pdb").Pdb),
    "path": sys.path[0],
}, default=str, sort_keys=True))
"""


@pytest.fixture(scope="module")
def facts_of_stock(place, directory) -> str:
    """What a cell finds in a kernel that has nothing to do with us."""
    factory = KernelProvisionerFactory.instance()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factory, "default_provisioner_name", "local-provisioner")
        with running("stock", directory) as kernel:
            return kernel.run(FACTS).stdout


def test_a_cell_finds_its_shell_as_in_every_kernel(way, directory, facts_of_stock):
    """A waiting kernel's shell was made before the fork, with nobody's directory and files."""
    with running(way, directory) as kernel:
        facts = kernel.run(FACTS)

    assert facts.status == "ok", facts
    assert json.loads(facts.stdout) == json.loads(facts_of_stock)


def test_start_up_files_run_where_the_kernel_runs(way, directory, tmp_path):
    """They may look at the environment and the directory, so they run once those are in place."""
    start_up = tmp_path / "profile_default" / "startup"
    start_up.mkdir(parents=True)
    (start_up / "00.py").write_text("import os\nseen = os.getcwd(), os.environ['OPSPAWN_TEST']\n")

    with running(way, directory, IPYTHONDIR=str(tmp_path), OPSPAWN_TEST="early") as kernel:
        assert kernel.value("seen") == repr((str(directory), "early"))


def test_six_kernels_start_at_once(way, directory):
    """A free port that two kernels find at the same time is one kernel too few."""

    async def one(number: int) -> str:
        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel(extra_arguments=WAYS[way][2], env=kernel_environment())
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=PATIENCE_SECONDS)
        outcome = Outcome()
        await client.execute_interactive(
            f"{number} * 10", output_hook=outcome.hear, timeout=PATIENCE_SECONDS
        )
        client.stop_channels()
        await manager.shutdown_kernel()
        return outcome.value

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(one(number) for number in range(6)))

    assert asyncio.run(all_of_them()) == ["0", "10", "20", "30", "40", "50"]


@pytest.mark.parametrize("manager_class", [AsyncKernelManager, SwiftKernelManager])
def test_an_asynchronous_manager_starts_runs_and_ends_a_kernel(way, directory, manager_class):
    """nbclient, and so papermill, uses one; ours waits for nothing that does not happen."""

    async def story() -> SimpleNamespace:
        manager = manager_class(kernel_name="python3")
        await manager.start_kernel(
            extra_arguments=WAYS[way][2], cwd=str(directory), env=kernel_environment()
        )
        await manager.ready
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=PATIENCE_SECONDS)
        outcome = Outcome()
        await client.execute_interactive("6 * 7", output_hook=outcome.hear)
        was_alive = await manager.is_alive()
        client.stop_channels()
        await manager.shutdown_kernel()
        return SimpleNamespace(value=outcome.value, was_alive=was_alive, manager=manager)

    told = asyncio.run(story())

    assert (told.value, told.was_alive, told.manager.has_kernel) == ("42", True, False)


CLIENT = """
import os, sys, time
from jupyter_client import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from importlib.metadata import EntryPoint
factory = KernelProvisionerFactory.instance()
factory.provisioners["opspawn-fork"] = EntryPoint(
    "opspawn-fork", "opspawn_jupyter.kernels.provisioner:ForkProvisioner", factory.GROUP_NAME)
factory.default_provisioner_name = sys.argv[1]
manager = KernelManager(kernel_name="python3")
manager.start_kernel(extra_arguments=sys.argv[2:])
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=150)
if os.fork() == 0:
    time.sleep(600)  # a fork of the client holds whatever the client held
print(manager.provisioner.pid, flush=True)
time.sleep(600)
"""


def test_a_kernel_dies_with_its_client(way, directory):
    """Nobody could ever end it otherwise."""
    provisioner, _, arguments = WAYS[way]
    client = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CLIENT, provisioner, *arguments],
        env=kernel_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with client:
        pid = int(client.stdout.readline())
        assert is_running(pid)

        client.kill()

        wait_until(lambda: not is_running(pid))
        os.killpg(client.pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)
