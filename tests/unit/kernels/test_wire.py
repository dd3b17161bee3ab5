"""Messages between fork server and client."""

from __future__ import annotations

import os

import pytest

from opspawn_jupyter.kernels.forking import wire


def test_a_message_arrives_whole_with_its_files(tmp_path):
    here, there = wire.pair()
    with here, there, (tmp_path / "file").open("w") as file:
        # Names of files need not be text.
        wire.send(here, {"environment": {"N": "\udcff" * 100_000}}, [file.fileno()])

        message, files = wire.receive(there)

        os.write(files[0], b"through")
        os.close(files[0])
    assert message == {"environment": {"N": "\udcff" * 100_000}}
    assert (tmp_path / "file").read_text() == "through"


def test_the_end_of_the_other_side_is_no_message():
    here, there = wire.pair()
    with there:
        here.close()

        assert wire.receive(there) == (None, [])


def test_what_is_too_large_is_refused_and_not_cut():
    here, there = wire.pair()
    with here, there, pytest.raises(OSError, match="too long"):
        wire.send(here, {"environment": "x" * 10_000_000})


def test_both_sides_know_who_the_other_is():
    """Another user's process must not be given a kernel, nor give one."""
    here, there = wire.pair()
    with here, there:
        assert wire.peer(here) == wire.peer(there) == (os.getpid(), os.getuid())
