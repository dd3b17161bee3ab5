"""How long fork servers live, what ends with them, whom they serve, and who serves instead."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.kernels import defaults, servers
from opspawn_jupyter.kernels.command import parse
from opspawn_jupyter.kernels.launching import Launch, launch
from opspawn_jupyter.kernels.wire_channels import Wire
from opspawn_jupyter.runners.messages import Messages

FORK = "opspawn-fork"
CLASS = "opspawn_jupyter.kernels.provisioner:ForkProvisioner"
HISTORY = "--HistoryManager.hist_file=:memory:"


@pytest.fixture
def place(monkeypatch) -> Iterator[Path]:
    """The fork servers of one test; every kernel comes from them where it can."""
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setitem(factory.provisioners, FORK, EntryPoint(FORK, CLASS, factory.GROUP_NAME))
    monkeypatch.setattr(factory, "default_provisioner_name", FORK)
    with tempfile.TemporaryDirectory(prefix="osk-", dir="/tmp", ignore_cleanup_errors=True) as name:
        monkeypatch.setenv("OPSPAWN_KERNELS_DIRECTORY", name)
        monkeypatch.setenv("OPSPAWN_KERNELS_PATIENCE_SECONDS", str(PATIENCE_SECONDS))
        yield Path(name)
        servers.stop_all(Path(name))


@contextmanager
def running(
    name: str = "python3", directory: Path | None = None, **options: Any
) -> Iterator[tuple[KernelManager, Any]]:
    """A kernel and a client of it."""
    manager = KernelManager(kernel_name=name, **options)
    arguments = [HISTORY] if name == "python3" else []
    # In a directory of its own a kernel is to see only what is installed in its environment.
    unwanted = ("PYTEST_CURRENT_TEST", "PYTHONPATH" if directory else "")
    environment = {k: v for k, v in os.environ.items() if k not in unwanted}
    manager.start_kernel(extra_arguments=arguments, env=environment, cwd=directory)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        yield manager, client
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def printed(client: Any, code: str) -> str:
    texts: list[str] = []
    client.execute_interactive(
        code,
        output_hook=lambda m: texts.append(m["content"].get("text", "")),
        timeout=PATIENCE_SECONDS,
    )
    return "".join(texts)


def only_server(place: Path) -> dict[str, Any]:
    (status,) = servers.statuses(place)
    return status


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


def sockets(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if path.is_socket()]


def kernelspecs(directory: Path, name: str, argv: list[str], language: str) -> KernelSpecManager:
    """A manager that knows this one kernelspec."""
    spec = directory / "kernels" / name
    spec.mkdir(parents=True)
    text = json.dumps({"argv": argv, "display_name": name, "language": language})
    (spec / "kernel.json").write_text(text)
    return KernelSpecManager(kernel_dirs=[str(directory / "kernels")], ensure_native_kernel=False)


def test_all_ends_with_the_owner(place, monkeypatch):
    """A killed Jupyter server or worker must leave no process and no socket behind."""
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv("OPSPAWN_KERNELS_OWNER", str(owner.pid))
    with owner, running() as (manager, client):
        start = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
        child = int(printed(client, start))
        server = only_server(place)
        processes = [server["pid"], manager.provisioner.pid, child, *server["spares"]]

        owner.kill()

        wait_until(lambda: not any(map(is_running, processes)))
        assert sockets(place) == []


def test_a_killed_fork_server_takes_its_kernels_along_and_is_replaced(place):
    """Their clients notice, and the next kernel is forked again."""
    with running() as (manager, _):
        server = only_server(place)
        processes = [manager.provisioner.pid, *server["spares"]]

        os.kill(server["pid"], 9)

        wait_until(lambda: not any(map(is_running, processes)))
        wait_until(lambda: not manager.is_alive())

    with running() as (manager, _):
        assert manager.provisioner.tier == "kernel"
        assert only_server(place)["pid"] != server["pid"]
        assert not [name for name in sockets(place) if f".{server['pid']}." in name]


def test_an_idle_fork_server_ends(place, monkeypatch):
    """Its memory is somebody else's."""
    monkeypatch.setenv("OPSPAWN_KERNELS_IDLE_SECONDS", "2")  # also until its first kernel
    with running():
        server = only_server(place)
        time_running = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > time_running)
        assert is_running(server["pid"])

    wait_until(lambda: not is_running(server["pid"]))
    assert sockets(place) == []


def test_no_more_spares_are_kept_than_configured(place, monkeypatch):
    monkeypatch.setenv("OPSPAWN_KERNELS_SPARES", "1")
    with running(), running(), running():
        wait_until(lambda: len(only_server(place)["spares"]) == 1)

        assert len(only_server(place)["kernels"]) == 3


def test_without_spares_kernels_are_forked_on_request(place, monkeypatch):
    monkeypatch.setenv("OPSPAWN_KERNELS_SPARES", "0")

    with running() as (manager, _):
        assert manager.provisioner.tier == "kernel"
        assert only_server(place)["spares"] == []


def test_while_the_fork_server_starts_kernels_start_as_ever(place, monkeypatch):
    """The first notebook must not pay for those to come."""
    monkeypatch.setenv("OPSPAWN_KERNELS_PATIENCE_SECONDS", "0")

    with running() as (manager, _):
        assert manager.provisioner.tier == "cold"
        assert manager.provisioner.tier_reason == "the fork server is not up"

    wait_until(lambda: bool(list(servers.statuses(place))))
    with running() as (manager, _):
        assert manager.provisioner.tier == "kernel"


def test_a_kernel_that_started_cold_can_be_restarted_by_fork(place, monkeypatch):
    """The client keeps its ports, so the fork takes them over."""
    monkeypatch.setenv("OPSPAWN_KERNELS_PATIENCE_SECONDS", "0")
    with running() as (manager, client):
        assert manager.provisioner.tier == "cold"
        wait_until(lambda: bool(list(servers.statuses(place))))

        manager.restart_kernel()
        client.wait_for_ready(timeout=PATIENCE_SECONDS)

        assert manager.provisioner.tier == "kernel"
        assert printed(client, "print('alive')") == "alive\n"


def test_a_preload_that_starts_a_thread_forbids_forking(place, monkeypatch, tmp_path):
    """A lock that such a thread holds would be held for ever in every kernel."""
    thread = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    (tmp_path / "spinner.py").write_text(f"import threading, time\n{thread}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OPSPAWN_KERNELS_PRELOAD", "spinner")

    with running() as (manager, client):
        assert manager.provisioner.tier == "cold"
        assert "threads run" in manager.provisioner.tier_reason
        assert printed(client, "print('alive')") == "alive\n"


def test_a_preload_that_cannot_be_imported_is_left_out(place, monkeypatch):
    monkeypatch.setenv("OPSPAWN_KERNELS_PRELOAD", "no_such_module,colorsys")

    with running() as (manager, _):
        assert manager.provisioner.tier == "kernel"
        assert only_server(place)["preload"] == ["colorsys"]


def test_an_interpreter_without_ipykernel_is_not_tried_over_and_over(place, tmp_path):
    """Every launch would start a process that fails."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    argv = [
        str(tmp_path / "bare/bin/python"),
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ]
    specs = kernelspecs(tmp_path, "bare", argv, "python")
    for _ in range(2):
        manager = KernelManager(kernel_name="bare", kernel_spec_manager=specs)
        manager.start_kernel(stderr=subprocess.DEVNULL, env={"HOME": str(tmp_path)})

        assert manager.provisioner.tier == "cold"

        wait_until(lambda manager=manager: not manager.is_alive())
        manager.cleanup_resources()
    assert sockets(place) == []


def test_other_languages_start_as_ever(place, tmp_path):
    argv = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]
    specs = kernelspecs(tmp_path, "bash", argv, "bash")

    with running("bash", kernel_spec_manager=specs) as (manager, client):
        assert manager.provisioner.tier == "cold"
        assert manager.provisioner.tier_reason == "not an ordinary ipykernel"
        assert printed(client, "echo hello").strip() == "hello"


def test_that_all_is_done_is_told_before_the_process_is_gone(place):
    """Its client need not wait for the system to take the memory back; but what still runs might
    still write a file."""
    thread = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    for code, ending in (("pass", 0), (thread, None)):
        with running() as (manager, client):
            printed(client, f"import threading, time\n{code}")
            leash = manager.provisioner._leash
            manager.shutdown_wait_time = PATIENCE_SECONDS

            manager.shutdown_kernel()

            assert (leash.poll(), leash.ending) == (0, ending)


def test_that_all_is_done_is_told_where_the_end_was_noticed_first(place):
    """A fork server that was busy finds both at once."""
    with running() as (manager, client):
        leash = manager.provisioner._leash
        process = psutil.Process(leash.pid)
        server = process.parent()
        server.suspend()
        client.shutdown()
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        server.resume()

        assert asyncio.run(leash.wait(PATIENCE_SECONDS)) == leash.ending == 0


KILLED = "os.kill(os.getpid(), 9)"


def order(place: Path, tier: str, directory: Path) -> Launch:
    return Launch(
        tier=tier,
        kernel_name="python3",
        command=parse([sys.executable, "-m", "ipykernel_launcher", "-f", "k.json", HISTORY]),
        environment=os.environ,
        directory=str(directory),
        options=defaults.options(place),
        patience_seconds=PATIENCE_SECONDS,
    )


def test_a_kernel_tells_of_itself_when_it_is_launched(place):
    """So nobody has to ask it."""
    with running() as (_, client):
        made = asyncio.run(launch(order(place, "kernel", place)))
        answer = client.kernel_info(reply=True, timeout=PATIENCE_SECONDS)["content"]

        assert {**made.info, "banner": ""} == {**answer, "banner": ""}  # whose tip is another
        made.leash.signal(signal.SIGKILL)


def test_more_direct_kernels_than_wait_come_up_with_their_orders(place, tmp_path):
    """Each is who it was asked to be, tells of itself, and ends with its line."""
    directories = [tmp_path / str(number) for number in range(5)]
    for directory in directories:
        directory.mkdir()

    async def start(directory: Path) -> tuple[Any, socket.socket]:
        here, there = socket.socketpair()
        with there:
            return await launch(order(place, "direct", directory), there.fileno()), here

    async def start_all() -> list[tuple[Any, socket.socket]]:
        first = await start(directories[0])
        return [first, *await asyncio.gather(*map(start, directories[1:]))]

    made = asyncio.run(start_all())
    assert len({kernel.leash.pid for kernel, _ in made}) == 5
    for (kernel, line), directory in zip(made, directories, strict=True):
        assert kernel.info["implementation"] == "ipython"
        links = Path(f"/proc/{kernel.leash.pid}/cwd")
        wait_until(lambda: links.resolve() == directory)  # noqa: B023  within the turn
        line.close()
        wait_until(lambda: kernel.leash.poll() is not None)  # noqa: B023  as above
        assert kernel.leash.poll() == 0


def test_that_all_is_done_is_told_on_the_line(place, tmp_path):
    """To the one for whom the kernel was made, past the fork server; but not while something of
    the user's may still write a file, or where the kernel went without a word."""
    thread = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    for code, ending in (("pass", 0), ("raise SystemExit(3)", 0), (thread, None), (KILLED, None)):
        assert asyncio.run(ended(order(place, "direct", tmp_path), code)) == ending


async def ended(wanted: Launch, code: str) -> int | None:
    """What the kernel says on its line at its end, which the fork server tells, too."""
    here, there = socket.socketpair()
    made = await launch(wanted, there.fileno())
    there.close()
    wire, messages = Wire(here), Messages(b"")
    cell = {"code": f"import os, threading, time\n{code}", "silent": False}
    for kind, content in (("execute_request", cell), ("shutdown_request", {"restart": False})):
        wire.send(messages.request(kind, content)[1])
    with made.leash.watched(wire.tell):
        await wire.wait_for_ending(lambda: made.leash.poll() is not None, PATIENCE_SECONDS)
    assert await made.leash.wait(PATIENCE_SECONDS) is not None
    wire.close()
    return wire.ending


def test_a_changed_configuration_holds_for_the_next_kernel(place, monkeypatch, tmp_path):
    """Where there is none the shell is made before the forks, so its coming must be noticed; and
    kernels that wait have read the file as it was."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    file = tmp_path / "profile_default" / "ipython_config.py"
    ask = "print(get_ipython().cache_size)"
    with running() as (_, client):
        assert printed(client, ask) == "1000\n"

    for size in (30, 40):
        file.write_text(f"get_config().InteractiveShell.cache_size = {size}")
        with running() as (manager, client):
            assert manager.provisioner.tier == "kernel"
            assert printed(client, ask) == f"{size}\n"


@pytest.mark.slow
def test_an_environment_of_its_own_is_served_until_its_packages_change(place, tmp_path):
    """It has ipykernel and nothing of ours: the fork server runs there by path."""
    python = tmp_path / "other/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "ipykernel"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("pip cannot install ipykernel here")
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specs = kernelspecs(tmp_path, "other", argv, "python")
    ask = "import importlib.util as u, sys; print(sys.prefix, u.find_spec('opspawn_jupyter'))"
    with running("other", tmp_path, kernel_spec_manager=specs) as (manager, client):
        assert manager.provisioner.tier == "kernel"
        assert printed(client, ask) == f"{tmp_path / 'other'} None\n"
        first = only_server(place)

        (packages,) = tmp_path.glob("other/lib/python*/site-packages")
        (packages / "added.py").write_text("")

        with running("other", tmp_path, kernel_spec_manager=specs) as (newer, _):
            assert newer.provisioner.tier == "kernel"
            assert only_server(place)["pid"] != first["pid"]
            assert manager.is_alive()  # an old kernel ends when its client wants it to
            assert printed(client, "print('alive')") == "alive\n"

    wait_until(lambda: not is_running(first["pid"]))


def test_papermill_needs_nothing_but_the_environment_variable(place, tmp_path):
    """Any Jupyter client can have fast kernels without a change to it or to a kernelspec."""
    notebook = nbformat.v4.new_notebook()
    code = "import os\nprint(open(f'/proc/{os.getppid()}/cmdline').read())"
    notebook.cells = [nbformat.v4.new_code_cell(code)]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "in.ipynb")

    subprocess.run(
        [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"],
        cwd=tmp_path,
        env=os.environ | {"JUPYTER_DEFAULT_PROVISIONER_NAME": FORK} | registered(tmp_path),
        check=True,
        capture_output=True,
    )

    (output,) = nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs
    assert "fork_server.py" in output.text


def registered(directory: Path) -> dict[str, str]:
    """What a process needs to find the provisioner, where it is not installed yet."""
    if entry_points(group="jupyter_client.kernel_provisioners", name=FORK):
        return {}
    info = directory / "made" / "made-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[jupyter_client.kernel_provisioners]\n{FORK} = {CLASS}\n"
    )
    return {"PYTHONPATH": f"{directory / 'made'}:{os.environ.get('PYTHONPATH', '')}"}
