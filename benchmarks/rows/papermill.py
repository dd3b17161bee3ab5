"""papermill with our engine and forked kernels, beside papermill as it is and others like it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks import notebooks, peers
from benchmarks.measure import Goal, Row, Size, Way

_OURS, _STOCK = "papermill, opspawn engine", "papermill"


def own_settings(place: Path) -> dict[str, str]:
    """Environment in which papermill with our engine forks its kernels."""
    return {
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "opspawn-fork",
        "OPSPAWN_KERNELS_DIRECTORY": str(place),
        "OPSPAWN_KERNELS_OWNER": str(os.getpid()),
        "OPSPAWN_KERNELS_PATIENCE_SECONDS": "60",
    }


@contextmanager
def _in_process(
    sources: Sequence[str], unit: str = "seconds", *, others: bool = False
) -> Iterator[Mapping[str, Way]]:
    """Each in a process and an environment of its own."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opspawn-bench-")))
        source = str(notebooks.write(place, "source", sources))

        def helper(program: Path | str, engine: str) -> Way:
            return stack.enter_context(peers.helper(program, "notebook.py", engine, source, unit))

        with patch.dict(os.environ, own_settings(place)):
            ways = {_OURS: helper(peers.OWN, "opspawn")}
        ways[_STOCK] = helper(peers.python("papermill"), "papermill")
        if others:
            ways["nbclient"] = helper(peers.python("nbclient"), "nbclient")
            ways["ploomber-engine (no kernel)"] = helper(peers.python("ploomber"), "ploomber")
            ways["papermill's command line"] = partial(_command_line, source)
        for way in ways.values():
            way()  # the first pays the imports, and starts what is to be warm
        yield ways


def _command_line(source: str) -> float:
    program = peers.python("papermill").with_name("papermill")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        command = [program, "--no-progress-bar", source, f"{place}/out.ipynb"]
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


@contextmanager
def _three(_size: Size) -> Iterator[Mapping[str, Way]]:
    with _in_process(notebooks.THREE, others=True) as ways:
        yield ways


@contextmanager
def _many(size: Size) -> Iterator[Mapping[str, Way]]:
    with _in_process(notebooks.cells(size.of(200, 10))) as ways:
        yield ways


@contextmanager
def _outputs(size: Size) -> Iterator[Mapping[str, Way]]:
    with _in_process(notebooks.OUTPUTS[: size.of(41, 3)]) as ways:
        yield ways


@contextmanager
def _bytes(size: Size) -> Iterator[Mapping[str, Way]]:
    with _in_process(notebooks.OUTPUTS[: size.of(41, 3)], "bytes") as ways:
        yield ways


ROWS = (
    Row(
        name="papermill-3",
        what="execute_notebook of 3 cells",
        unit="s",
        ways=_three,
        goals=(
            Goal(ours=_OURS, other=_STOCK, at_least=8),
            Goal(ours=_OURS, other=_STOCK, at_least=20, of_worst=True),
        ),
        rounds=15,
    ),
    Row(
        name="papermill-200",
        what="execute_notebook of 200 cells",
        unit="s",
        ways=_many,
        goals=(Goal(ours=_OURS, other=_STOCK, at_least=8),),
        rounds=3,
    ),
    Row(
        name="outputs",
        what="execute_notebook of 20 MB of outputs",
        unit="s",
        ways=_outputs,
        goals=(Goal(ours=_OURS, other=_STOCK, at_least=12),),
        rounds=3,
    ),
    Row(
        name="outputs-bytes",
        what="bytes written for 20 MB of outputs",
        unit="bytes",
        ways=_bytes,
        goals=(Goal(ours=_OURS, other=_STOCK, at_least=25),),
        rounds=1,
    ),
)
