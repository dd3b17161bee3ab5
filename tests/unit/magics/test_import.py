"""The kernel side is light: every kernel pays for it at ``%load_ext``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_HEAVY = ("papermill", "pydantic", "duckdb", "mcp", "nbformat", "rich", "jupyter_server", "pandas")

_SCRIPT = """
import ipykernel.kernelapp, json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "opspawn_jupyter")
at_load = sorted(set(sys.modules) - before)
from opspawn_jupyter import connect, step
import opspawn_magics.dispatch
print(json.dumps([at_load, sorted(set(sys.modules) - before)]))
"""


def test_loading_imports_little_and_using_it_nothing_heavy() -> None:
    """On top of a loaded ipykernel. What it takes in time is the benchmarks' to say."""
    answer = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, check=True)
    at_load, later = json.loads(answer.stdout.splitlines()[-1])

    assert len(at_load) < 60, at_load
    assert not any(name.startswith(("tornado", "opspawn_jupyter.client.api")) for name in at_load)
    assert not {name.partition(".")[0] for name in later} & set(_HEAVY)


def test_the_package_alone_imports_next_to_nothing() -> None:
    script = "import sys, opspawn_jupyter as o; o.__version__; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = answer.stdout.decode().split()

    ours = {name for name in loaded if name.startswith("opspawn")}
    assert ours == {"opspawn_jupyter", "opspawn_jupyter.version"}
    assert "tornado" not in loaded


def test_public_names_are_attributes_loaded_on_demand() -> None:
    import opspawn_jupyter

    assert opspawn_jupyter.step is opspawn_jupyter.step
    assert {"connect", "connect_async", "step"} <= set(dir(opspawn_jupyter))
    with pytest.raises(AttributeError, match="nothing"):
        opspawn_jupyter.nothing  # noqa: B018


def test_the_jupyter_server_finds_its_extension() -> None:
    """The one door by which the package is loaded into a server."""
    script = (
        "import opspawn_jupyter as o; (point,) = o._jupyter_server_extension_points();"
        "print(point['module'], point['app'].name)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert answer.stdout.decode().split()[0] == "opspawn_jupyter.server.extension"
