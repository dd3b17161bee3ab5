"""Where fork servers are looked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from opspawn_jupyter.kernels import servers


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
