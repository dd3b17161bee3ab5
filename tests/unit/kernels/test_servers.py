"""Where fork servers are looked for."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opspawn_jupyter.kernels import defaults, recipe, servers


@pytest.fixture
def place(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="osk-", dir="/tmp") as name:
        monkeypatch.setenv("OPSPAWN_KERNELS_DIRECTORY", f"{name}/k")
        yield Path(name, "k")


def test_the_directory_is_made_and_private(place):
    assert servers.directory() == place
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_enter_is_not_used(place):
    """Whoever can put a socket there can be given our environment."""
    place.mkdir()
    place.chmod(0o755)

    assert servers.directory() is None


def test_a_directory_behind_a_link_is_not_used(place, tmp_path):
    tmp_path.chmod(0o700)
    place.symlink_to(tmp_path)

    assert servers.directory() is None


def test_a_directory_whose_path_is_too_long_for_sockets_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("OPSPAWN_KERNELS_DIRECTORY", str(tmp_path / ("x" * 90)))

    assert servers.directory() is None


def test_a_directory_without_servers_has_no_statuses(place):
    servers.directory()

    assert list(servers.statuses(place)) == []


@pytest.fixture
def server(place) -> Iterator[tuple[recipe.Recipe, socket.socket]]:
    """A recipe, and where its server listens."""
    servers.directory()
    wanted = recipe.ordinary(os.environ, defaults.options(place))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(place / f"{wanted.name}.sock"))
        listener.listen()
        listener.settimeout(10)
        yield wanted, listener


def test_a_line_that_was_opened_ahead_is_used_once(server):
    """Whoever asks again asks on a line of its own."""
    wanted, listener = server
    servers.connect(wanted).close()
    listener.accept()[0].close()
    servers.connect_ahead()
    servers.connect_ahead()
    theirs, _ = listener.accept()

    with theirs, servers.connect(wanted) as line, servers.connect(wanted) as another:
        line.send(b"first")
        another.send(b"second")
        with listener.accept()[0] as other:
            assert (theirs.recv(10), other.recv(10)) == (b"first", b"second")


def test_a_line_whose_server_has_ended_is_not_used(server):
    """Another may have taken its place since."""
    wanted, listener = server
    servers.connect(wanted).close()
    listener.accept()[0].close()
    servers.connect_ahead()
    listener.accept()[0].close()

    with servers.connect(wanted) as line:
        line.send(b"order")
        with listener.accept()[0] as theirs:
            assert theirs.recv(10) == b"order"


def test_a_line_leads_to_the_server_that_was_asked_last(server, place):
    """A runner may be given a notebook of another kernel each time."""
    wanted, listener = server
    servers.connect(wanted).close()
    listener.accept()[0].close()
    servers.connect_ahead()
    theirs, _ = listener.accept()
    other = recipe.ordinary({**os.environ, "PYTHONHASHSEED": "1"}, defaults.options(place))
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as second:
        second.bind(str(place / f"{other.name}.sock"))
        second.listen()
        second.settimeout(10)
        servers.connect(other).close()
        second.accept()[0].close()

        servers.connect_ahead()

        second.accept()[0].close()
        assert theirs.recv(10) == b""
