"""Preloaded libraries are used before kernels are forked, and stay as they were."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from opspawn_jupyter.kernels.forking import uses

_SCRIPT = """
import json, random, sys
import matplotlib, numpy, pandas
from opspawn_jupyter.kernels.forking import safety, uses

def state():
    return repr((
        random.getstate(), numpy.random.get_state(), dict(matplotlib.rcParams),
        pandas.describe_option(_print_desc=False), "matplotlib.pyplot" in sys.modules,
    ))

before, late = state(), "pandas.io.formats.html" in sys.modules
uses.use_all(["pandas", "matplotlib.pyplot", "no.such.module"])
safety.retire_threads()
print(json.dumps([
    late, "pandas.io.formats.html" in sys.modules, state() == before,
    safety.hazard(), safety.tied_object(),
]))
"""


def test_what_comes_late_is_there_and_nothing_is_set() -> None:
    """A kernel must find every library as it would find it freshly imported."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, check=True)

    assert json.loads(done.stdout) == [False, True, True, None, None]


def test_a_library_that_fails_is_left_to_the_kernels(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fork server that did not start for it would cost all kernels their speed."""

    def fail() -> None:
        raise RuntimeError("no fonts")

    monkeypatch.setitem(uses._USES, "json", fail)
    with caplog.at_level(logging.WARNING, "opspawn_forking"):
        uses.use_all(["json"])

    assert "module not used name=json error=RuntimeError" in caplog.text
