"""What an agent costs beside its model's time: a step, and the import of a provider's library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import notebooks, servers
from benchmarks.measure import Row, Size, Way
from opspawn_jupyter.client.agent import agent_submission
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.model.task import Submission

_CODE = "x = 1\nx"
#: Prints the CPU seconds that an import takes on top of what a runner has imported anyway.
_IMPORT = """
import time, opspawn_jupyter.runners.preload
began = time.process_time()
import {module}
print(time.process_time() - began)
"""


@contextmanager
def _step(size: Size) -> Iterator[Mapping[str, Way]]:
    """A long run less a short one, for each step that it is longer."""
    short, long = size.of(10, 1), size.of(60, 3)
    with servers.ours() as own:
        agent = {count: _agent(own.root, count) for count in (short, long)}
        notebook = {count: _notebook(own.root, count) for count in (short, long)}
        for submission in (agent[short], notebook[short]):
            own.finish(submission)  # the first pays for what is to be warm
        yield {
            "agent": partial(_each, own, agent[short], agent[long], long - short),
            "notebook": partial(_each, own, notebook[short], notebook[long], long - short),
        }


def _each(own: servers.Ours, short: Submission, long: Submission, steps: int) -> float:
    return (own.finish(long) - own.finish(short)) / steps


def _agent(root: Path, steps: int) -> Submission:
    """One reply of the model and one code cell for each step, then the answer."""
    turns = [{"call": "run_python", "with": {"code": _CODE}}] * steps
    script = root / f"script-{steps}.yaml"
    script.write_text(json.dumps([*turns, {"say": "Done."}]))
    limits = {"max_steps": steps + 1}
    return agent_submission("Count.", model=f"scripted:{script}", limits=limits)


def _notebook(root: Path, cells: int) -> Submission:
    path = notebooks.write(root, f"cells-{cells}", [_CODE] * cells)
    return notebook_submission(path)


@contextmanager
def _imports(_size: Size) -> Iterator[Mapping[str, Way]]:
    yield {
        "an agent's loop": partial(_seconds, "opspawn_jupyter.agentkit.agent"),
        "a provider's library": partial(_seconds, "opspawn_jupyter.agentkit.providers"),
        "spans": partial(_seconds, "opentelemetry.sdk.trace.export"),
    }


def _seconds(module: str) -> float:
    command = [sys.executable, "-c", _IMPORT.format(module=module)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(ran.stdout.splitlines()[-1])


ROWS = (
    Row(
        name="agent-step",
        what="a step of an agent without its model, and a cell of a notebook",
        unit="s",
        ways=_step,
        rounds=5,
    ),
    Row(
        name="agent-import",
        what="CPU time of imports in an agent's own process",
        unit="s",
        ways=_imports,
        rounds=5,
    ),
)
