"""What a fork takes over from its client, and what it keeps of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from opspawn_jupyter.kernels.forking.surroundings import Surroundings


@pytest.fixture
def order(monkeypatch, tmp_path):
    """An order, and a process that is put back afterwards."""
    saved = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "orig_argv", list(sys.orig_argv))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield {
        "environment": {"PATH": os.environ["PATH"], "CLIENT": "1", "TZ": "Asia/Tokyo"},
        "directory": str(tmp_path),
        "command": ["python", "-m", "ipykernel_launcher", "-f", "k.json"],
        "arguments": ["-f", "k.json"],
    }
    os.environ.clear()
    os.environ.update(saved)
    time.tzset()


def test_the_environment_is_the_clients_and_nothing_else(order, monkeypatch):
    monkeypatch.setenv("SERVER", "1")

    Surroundings().adopt(order)

    assert dict(os.environ) == order["environment"]
    assert time.strftime("%Z", time.localtime(0)) == "JST"


def test_what_the_kernels_start_has_set_is_kept(order):
    """ipykernel sets the pager, libraries set what they need at their import."""
    surroundings = Surroundings()
    os.environ["PAGER"] = "cat"

    surroundings.adopt({**order, "environment": {"PAGER": "less"}})

    assert os.environ["PAGER"] == "cat"


def test_directory_and_command_line_are_the_clients(order, tmp_path):
    Surroundings().adopt(order)

    assert Path.cwd() == tmp_path
    assert sys.argv[1:] == ["-f", "k.json"]
    assert sys.argv[0].endswith("ipykernel_launcher.py")
    assert sys.orig_argv == order["command"]


def test_where_temporary_files_go_is_found_out_anew_only_where_it_may_differ(order, monkeypatch):
    """To find it out writes a file, which each kernel would do."""
    monkeypatch.delenv("TMPDIR", raising=False)
    surroundings = Surroundings()
    monkeypatch.setattr(tempfile, "tempdir", "/found")

    surroundings.adopt(order)
    kept = tempfile.tempdir
    surroundings.adopt({**order, "environment": {"TMPDIR": order["directory"]}})

    assert kept == "/found"
    assert tempfile.gettempdir() == order["directory"]
