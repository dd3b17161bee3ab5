"""One fork server behind each name."""

from __future__ import annotations

import subprocess
import sys

from opspawn_jupyter.kernels.forking.door import Door

CLAIM = """
import sys
from opspawn_jupyter.kernels.forking.door import Door
print(Door(sys.argv[1], "name").claim())
"""


def claimed_elsewhere(directory) -> str:
    command = [sys.executable, "-c", CLAIM, str(directory)]
    return subprocess.check_output(command, text=True).strip()


def test_a_name_has_one_server_until_it_gives_it_up(tmp_path):
    """Clients that find no server all start one; all but one of them end at once."""
    door = Door(str(tmp_path), "name")
    assert door.claim()
    assert claimed_elsewhere(tmp_path) == "False"

    door.close()

    assert claimed_elsewhere(tmp_path) == "True"


def test_the_socket_is_the_users_alone_and_replaces_a_dead_one(tmp_path):
    (tmp_path / "name.sock").touch()
    door = Door(str(tmp_path), "name")
    assert door.claim()

    door.open()

    assert (tmp_path / "name.sock").is_socket()
    assert (tmp_path / "name.sock").stat().st_mode & 0o777 == 0o600
    door.close()
    assert not (tmp_path / "name.sock").exists()
