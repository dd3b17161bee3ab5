"""Which server a client talks to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_core.paths import jupyter_runtime_dir

from opspawn_jupyter import errors
from opspawn_jupyter.client import discovery, runtime


@pytest.fixture
def other_process() -> Iterator[int]:
    """Process id of something else that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def test_the_environment_decides_first(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets OPSPAWN_URL means it, whatever else is running."""
    monkeypatch.setenv("OPSPAWN_URL", "https://hub.example/user/a")
    monkeypatch.setenv("OPSPAWN_TOKEN", "given")

    server = discovery.find()

    assert (server.url, server.authorization) == ("https://hub.example/user/a/", "token given")
    assert server.verify


def test_a_running_server_is_found_by_its_file(stand_in: Any) -> None:
    server = discovery.find()

    assert (server.url, server.token) == (stand_in.url, "the-stand-in-token")
    assert server.root_directory == str(stand_in.root)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"XDG_DATA_HOME": "/data/shared"},
        {"JUPYTER_DATA_DIR": "/data/jupyter", "XDG_DATA_HOME": "/data/shared"},
        {"JUPYTER_PLATFORM_DIRS": "1"},
        {"JUPYTER_RUNTIME_DIR": "/run/jupyter", "JUPYTER_DATA_DIR": "/data/jupyter"},
    ],
)
def test_servers_are_looked_for_where_jupyter_writes_them_down(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told here again, because to ask Jupyter takes a command a tenth of its time."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_PLATFORM_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert str(runtime.runtime_directory()) == jupyter_runtime_dir()


def test_an_address_from_the_browser_will_do(stand_in: Any) -> None:
    """People paste what Jupyter prints: a page's address with the token in it."""
    server = discovery.find(f"http://localhost:{stand_in.port}/base/lab/tree/x?token=pasted")

    assert server.token == "pasted"
    assert server.url == stand_in.url
    assert discovery.find(stand_in.url).token == "the-stand-in-token"


def test_a_token_is_not_shown_to_another_server(
    runtime_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPSPAWN_TOKEN belongs to OPSPAWN_URL."""
    monkeypatch.setenv("OPSPAWN_URL", "https://mine.example/")
    monkeypatch.setenv("OPSPAWN_TOKEN", "secret")

    assert discovery.find("https://theirs.example/").authorization == ""
    assert discovery.find("https://mine.example/").token == "secret"
    assert "secret" not in repr(discovery.find())


@pytest.mark.parametrize("url", ["localhost:8888", "ftp://x/", "http://"])
def test_what_is_no_address_is_refused(url: str, runtime_directory: Path) -> None:
    with pytest.raises(errors.UsageError, match="http://"):
        discovery.find(url)


def test_no_server_is_said_clearly(runtime_directory: Path) -> None:
    with pytest.raises(errors.ServerNotFound, match="jupyter lab"):
        discovery.find()


def test_files_of_dead_servers_and_broken_files_are_passed_over(
    stand_in: Any, runtime_directory: Path
) -> None:
    """A killed server leaves its file, and a starting one half of it."""
    stand_in.describe_in(runtime_directory, pid=2**22 - 1, url="http://127.0.0.1:1/")
    (runtime_directory / "jpserver-77.json").write_text('{"pid": 77')
    (runtime_directory / "jpserver-78.json").write_text("[]")

    assert discovery.find().url == stand_in.url


def test_a_process_with_a_dead_servers_id_is_not_that_server(
    stand_in: Any, runtime_directory: Path, other_process: int
) -> None:
    stand_in.describe_in(runtime_directory, pid=other_process, url="http://127.0.0.1:1/")
    os.utime(runtime_directory / f"jpserver-{other_process}.json", (1, 1))

    assert discovery.find().url == stand_in.url


def test_the_server_around_the_current_directory_is_meant(
    stand_in: Any,
    runtime_directory: Path,
    other_process: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a server for the home directory and one for the project, the project's is meant."""
    inner = stand_in.root / "project"
    inner.mkdir()
    closer = "http://127.0.0.1:2/"
    stand_in.describe_in(runtime_directory, pid=other_process, url=closer, root_dir=str(inner))

    monkeypatch.chdir(inner)
    assert discovery.find().url == closer

    monkeypatch.chdir(stand_in.root)
    assert discovery.find().url == stand_in.url


def test_several_that_fit_alike_are_listed(
    stand_in: Any, runtime_directory: Path, other_process: int
) -> None:
    """Guessing would put somebody's run on the wrong machine's books."""
    stand_in.describe_in(runtime_directory, pid=other_process, url="http://127.0.0.1:2/")

    with pytest.raises(errors.ServerAmbiguous) as caught:
        discovery.find()

    assert "http://127.0.0.1:2/" in str(caught.value)
    assert stand_in.url in str(caught.value)
    assert "the-stand-in-token" not in str(caught.value)


def test_a_server_without_the_extension_does_not_compete(
    stand_in: Any, runtime_directory: Path, other_process: int
) -> None:
    stand_in.describe_in(runtime_directory, pid=other_process, url="http://127.0.0.1:2/")
    (stand_in.root / ".opspawn").mkdir()
    (stand_in.root / ".opspawn" / "server.json").write_text(f'{{"pid": {os.getpid()}}}')

    assert discovery.find().url == stand_in.url


def test_a_kernel_finds_the_server_that_started_it(
    stand_in: Any,
    runtime_directory: Path,
    other_process: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its directory may lie under another server's root."""
    far = "http://127.0.0.1:2/"
    stand_in.describe_in(runtime_directory, pid=other_process, url=far, root_dir="/elsewhere")
    monkeypatch.chdir(stand_in.root)

    monkeypatch.setenv("JPY_PARENT_PID", str(other_process))
    assert discovery.find().url == far

    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert discovery.find().url == stand_in.url


def test_the_nearest_server_above_a_process_is_its_own(
    stand_in: Any,
    runtime_directory: Path,
    other_process: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server started from a notebook passes the first server's JPY_PARENT_PID on."""
    stand_in.describe_in(runtime_directory, pid=other_process, url="http://127.0.0.1:2/")
    near = "http://127.0.0.1:3/"
    stand_in.describe_in(runtime_directory, pid=os.getppid(), url=near, root_dir="/near")
    monkeypatch.setenv("JPY_PARENT_PID", str(other_process))

    assert discovery.find().url == near


def test_a_unix_socket_is_said_to_be_out_of_reach(stand_in: Any, runtime_directory: Path) -> None:
    stand_in.describe_in(runtime_directory, sock="/run/jupyter.sock")

    with pytest.raises(errors.ServerUnreachable, match="Unix socket"):
        discovery.find()


def test_a_hub_names_its_server(runtime_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://0.0.0.0:9/user/a/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hub")

    server = discovery.find()

    assert (server.url, server.token) == ("http://127.0.0.1:9/user/a/", "hub")


def test_a_server_that_moved_is_found_by_its_directory(
    stand_in: Any, runtime_directory: Path, other_process: int
) -> None:
    """A restart changes port, process id and token; the directory stays."""
    before = discovery.find()
    (runtime_directory / f"jpserver-{os.getpid()}.json").unlink()
    assert discovery.find_again(before) == before

    stand_in.describe_in(runtime_directory, pid=other_process, url="http://h:2/", token="new")

    after = discovery.find_again(before)
    assert (after.url, after.token) == ("http://h:2/", "new")
