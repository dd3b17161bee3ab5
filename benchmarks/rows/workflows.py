"""What a workflow costs beside the work of its steps."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from jupyter_client.kernelspec import KernelSpecManager

from benchmarks import notebooks, peers, places, servers
from benchmarks.measure import Goal, Row, Size, Way
from opspawn_jupyter.client.workflow import workflow_submission
from opspawn_jupyter.kinds.plugin import PluginKind
from opspawn_jupyter.kinds.workflow import WorkflowKind
from opspawn_jupyter.model.workflow import WorkflowRequest
from opspawn_jupyter.settings import Settings

_OURS, _SHELL, _PLOOMBER, _PREFECT = "opspawn", "papermill in a script", "ploomber", "prefect"
_FAN_PREFECT = "prefect, threads, no kernels"
_PREFECT_VARIABLES = {
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # Twenty seconds are not enough for its server on a machine that has other work.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}
_FUNCTION = {"function": "operator:add", "args": [1, 2]}


@contextmanager
def _chain(size: Size) -> Iterator[Mapping[str, Way]]:
    """Notebooks of three cells, one after the other."""
    steps = size.of(10, 3)
    with ExitStack() as stack:
        place = places.directory()
        source = notebooks.write(place, "three", notebooks.THREE)
        script, ploomber = _script(place, source, steps), _ploomber(place / "pipeline", steps)
        prefect = stack.enter_context(_prefect("chain", str(source), steps, place))
        own = stack.enter_context(servers.ours())  # last: making environments takes minutes
        notebooks.write(own.root, "three", notebooks.THREE)
        graph = {"tasks": [_notebook_step(number) for number in range(steps)]}
        ways: dict[str, Way] = {
            _OURS: partial(own.finish, workflow_submission(graph=graph)),
            _SHELL: partial(_seconds, ["sh", str(script)], place),
            _PLOOMBER: ploomber,
            _PREFECT: prefect,
        }
        for name in (_OURS, _PREFECT):
            ways[name]()  # the first starts what is to be warm
        yield {name: _per(steps, way) for name, way in ways.items()}


@contextmanager
def _fan_out(size: Size) -> Iterator[Mapping[str, Way]]:
    """Python functions that do next to nothing. Ours share processes, and each leaves an executed
    notebook."""
    steps = size.of(1000, 20)
    with ExitStack() as stack:
        place = places.directory()
        prefect = stack.enter_context(_prefect("fan", "-", steps, place))
        own = stack.enter_context(servers.ours())
        ways: dict[str, Way] = {
            _OURS: partial(own.finish, workflow_submission(graph=_fan(steps))),
            _FAN_PREFECT: prefect,
        }
        ways[_OURS]()
        ways[_FAN_PREFECT]()
        yield {name: _per(steps, way) for name, way in ways.items()}


@contextmanager
def _validate(_size: Size) -> Iterator[Mapping[str, Way]]:
    """A chain, as a file's text and as JSON; nothing is run."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        settings = Settings(
            root_directory=root, state_directory=root / ".opspawn", runs_directory=root / "runs"
        )
        specs = KernelSpecManager().get_all_specs
        kind = WorkflowKind(settings)
        kind.meet({"python_function": PluginKind("python_function", settings, specs)})
        many = {"tasks": [_python_step(n, [n - 1] if n else []) for n in range(5000)]}
        few = {"tasks": many["tasks"][:50]}
        requests = {
            "50 steps, YAML": WorkflowRequest(source=_yaml(few)),
            "5,000 steps, YAML": WorkflowRequest(source=_yaml(many)),
            "5,000 steps, JSON": WorkflowRequest(graph=many),
        }
        yield {name: partial(_check, kind, request) for name, request in requests.items()}


def _check(kind: WorkflowKind, request: WorkflowRequest) -> float:
    began = time.perf_counter()
    check = kind.check(request)
    if check.faults or check.workflow is None:
        raise RuntimeError(f"the graph is not good: {check.faults[:3]}")
    return (time.perf_counter() - began) / len(check.workflow.steps)


def _yaml(graph: Mapping[str, Any]) -> str:
    """As a person or a program writes it, without anchors."""
    return "tasks:\n" + "".join(f"  - {json.dumps(one)}\n" for one in graph["tasks"])


def _per(steps: int, way: Way) -> Callable[[], float]:
    return lambda: way() / steps


def _notebook_step(number: int) -> dict[str, Any]:
    before = [f"s{number - 1}"] if number else []
    return {"id": f"s{number}", "notebook": "three.ipynb", "depends_on": before}


def _python_step(number: int, before: list[int]) -> dict[str, Any]:
    return {
        "id": f"s{number}",
        "plugin": "python_function",
        "config": _FUNCTION,
        "depends_on": [f"s{one}" for one in before],
    }


def _fan(steps: int) -> dict[str, Any]:
    step = _python_step(0, [])
    pooled = {**step, "config": {**_FUNCTION, "tier": "pool"}}
    return {"tasks": [{**pooled, "id": f"s{number}"} for number in range(steps)]}


def _seconds(command: list[str], place: Path) -> float:
    began = time.perf_counter()
    environment = {**os.environ, "PLOOMBER_STATS_ENABLED": "false"}
    subprocess.run(command, check=True, capture_output=True, cwd=place, env=environment)
    return time.perf_counter() - began


def _script(place: Path, source: Path, steps: int) -> Path:
    """What is written where there is no orchestrator."""
    program = peers.python("papermill").with_name("papermill")
    lines = [f"{program} --no-progress-bar {source} {place}/out-{n}.ipynb" for n in range(steps)]
    path = place / "all.sh"
    path.write_text("set -e\n" + "\n".join(lines) + "\n")
    return path


def _ploomber(place: Path, steps: int) -> Way:
    """Its pipeline of the same notebooks; they declare what they depend on in their parameters."""
    tasks = []
    for number in range(steps):
        before = f"['s{number - 1}']" if number else "None"
        path = notebooks.write(place, f"s{number}", notebooks.THREE)
        path.write_text(_with_parameters(path, f"upstream = {before}\nproduct = None"))
        tasks.append({"source": path.name, "name": f"s{number}", "product": f"out/s{number}.ipynb"})
    (place / "pipeline.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    program = peers.python("pipeline").with_name("ploomber")
    return partial(_seconds, [str(program), "build", "--force"], place)


def _with_parameters(path: Path, source: str) -> str:
    document = json.loads(path.read_text())
    first = {**document["cells"][0], "id": "parameters", "source": source}
    first["metadata"] = {"tags": ["parameters"]}
    document["cells"].insert(0, first)
    return json.dumps(document)


@contextmanager
def _prefect(what: str, source: str, steps: int, place: Path) -> Iterator[Way]:
    variables = {**_PREFECT_VARIABLES, "PREFECT_HOME": str(place / "prefect")}
    program = peers.python("prefect")
    with (
        patch.dict(os.environ, variables),
        peers.helper(program, "prefect_flow.py", what, source, str(steps)) as way,
    ):
        yield way


ROWS = (
    Row(
        name="workflow",
        what="a step of a chain of notebooks with 3 cells",
        unit="s",
        ways=_chain,
        goals=(
            Goal(ours=_OURS, other=_SHELL, at_least=8),
            Goal(ours=_OURS, other=_PLOOMBER, at_least=8),
            Goal(ours=_OURS, other=_PREFECT, at_least=8),
        ),
        rounds=3,
    ),
    Row(
        name="fan-out",
        what="a step of 1,000 Python functions at once",
        unit="s",
        ways=_fan_out,
        goals=(Goal(ours=_OURS, other=_FAN_PREFECT, at_least=50),),
        rounds=3,
    ),
    Row(
        name="validate",
        what="checking a workflow, for each step",
        unit="s",
        ways=_validate,
        goals=(Goal(ours="5,000 steps, YAML", other="50 steps, YAML", at_most=2),),
        rounds=5,
    ),
)
