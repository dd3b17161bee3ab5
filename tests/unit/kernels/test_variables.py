"""Environment variables as bytes."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from opspawn_jupyter.kernels.forking import variables


@pytest.fixture
def put_back():
    """What was there before is there afterwards."""
    saved = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(saved)
    time.tzset()


def test_what_is_known_is_what_python_shows(monkeypatch):
    """No promise of Python's holds it: a version that keeps them elsewhere is to be noticed."""
    monkeypatch.setenv("OPSPAWN_TEST", "on\udcff")
    encoded = variables.encoded
    shown = {encoded(name): encoded(value) for name, value in os.environ.items()}
    assert variables.known() == shown
    assert variables.known()[b"OPSPAWN_TEST"] == b"on\xff"

    monkeypatch.delenv("OPSPAWN_TEST")
    assert b"OPSPAWN_TEST" not in variables.known()


@pytest.mark.usefixtures("put_back")
def test_what_replaces_them_is_seen_by_python_and_by_programs():
    """Python asks its own copy, a program that is started what the system has."""
    os.environ["OPSPAWN_TEST"] = "gone"
    path = variables.known()[b"PATH"]

    variables.replace({b"PATH": path, b"KEPT": b"1"})

    assert dict(os.environ) == {"PATH": os.fsdecode(path), "KEPT": "1"}
    told = subprocess.run(["env"], capture_output=True, check=True).stdout.splitlines()
    assert b"KEPT=1" in told
    assert not any(line.startswith(b"OPSPAWN_TEST=") for line in told)
