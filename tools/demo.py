"""`make demo`: the quick start and an agent, run as a person would, shown in the terminal.

Starts a real Jupyter Server on the examples, opens ``quickstart.ipynb`` and ``agent.ipynb`` in
kernels of that server, runs their cells one after the other, shows how background tasks get on
meanwhile, and stops everything it started. The run directories stay, so that they can be opened
afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from jupyter_process import JupyterProcess, await_none, jupyter_server
from notebook_session import CellFailed, NotebookSession, notebook_session

EXAMPLES = Path(__file__).resolve().parent.parent / "notebooks" / "examples"
NOTEBOOKS = ("quickstart.ipynb", "agent.ipynb")


def main() -> int:
    """Run the demo; 0 where everything in it succeeded."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opspawn-demo-") as scratch:
        home = Path(scratch)
        print("Starting a Jupyter Server with opspawn ...", flush=True)
        with jupyter_server(EXAMPLES, home) as server:
            tasks = _show(server)
        left = await_none(home)
    print(f"\nThe server is stopped, {_count(left)} left behind.")
    print(f"That took {time.monotonic() - started:.0f} seconds.")
    is_good = bool(tasks) and all(task["state"] == "success" for task in tasks) and not left
    return 0 if is_good else 1


def _show(server: JupyterProcess) -> Sequence[Mapping[str, Any]]:
    health = server.await_health()
    if health["status"] != "ok":
        print(f"opspawn cannot work here: {health['problem']}")
        return ()
    print(f"It listens at {server.url} and serves {server.root}\n")
    watch = Watch(server)
    for name in NOTEBOOKS:
        try:
            with notebook_session(server, name) as session:
                _run_cells(session, name, watch)
        except CellFailed as failure:
            print(f"A cell of {name} failed: {failure}")
            return ()
    tasks = watch.tasks()
    _print_results(tasks)
    return tasks


def _run_cells(session: NotebookSession, name: str, watch: Watch) -> None:
    print(f"\nOpening {name} and running its cells:")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        print("\n" + textwrap.indent(cell.source, "  | "), flush=True)
        for output in session.run(cell.source, watch.show):
            _print_output(output)
        watch.show()


def _print_output(output: Mapping[str, Any]) -> None:
    text = output["text"] if "text" in output else output["data"].get("text/plain", "")
    print(textwrap.indent(text.rstrip("\n"), "    "), flush=True)


def _print_results(tasks: Sequence[Mapping[str, Any]]) -> None:
    print("\nWhat the tasks of this session gave:\n")
    for task in reversed(tasks):
        executed = EXAMPLES / task["run_directory"] / "output.ipynb"
        print(f"  {task['name']}: {task['state']}")
        for name, value in task["outputs"].items():
            print(f"    {name} = {value}")
        if not executed.is_file():
            raise FileNotFoundError(executed)
        print(f"    executed notebook: {executed}")
    print("\nTo look at them in JupyterLab: make lab, then open opspawn_runs in the file browser.")


class Watch:
    """Prints a line for each step that a background task of this session makes."""

    def __init__(self, server: JupyterProcess) -> None:
        self._server = server
        self._shown: dict[str, str] = {}
        self._before = frozenset(task["id"] for task in self._all())

    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """The tasks that were submitted since the watch began, newest first."""
        return [task for task in self._all() if task["id"] not in self._before]

    def show(self) -> None:
        """Print what has changed since the last call."""
        for task in self.tasks():
            line = _progress(task)
            if self._shown.get(task["id"]) != line:
                self._shown[task["id"]] = line
                print(f"    ... {line}", flush=True)

    def _all(self) -> Sequence[Mapping[str, Any]]:
        tasks: Sequence[Mapping[str, Any]] = self._server.api("GET", "tasks?limit=50")["tasks"]
        return tasks


def _progress(task: Mapping[str, Any]) -> str:
    states = [cell["state"] for cell in task["cells"]]
    done = sum(state not in ("not_run", "running") for state in states)
    line = f"{task['name']}: {task['state']}"
    if states:
        line += f", {done} of {len(states)} cells done"
    if task["progress"] and task["progress"]["fraction"] is not None:
        line += f", {task['progress']['fraction']:.0%} {task['progress']['text']}".rstrip()
    return line


def _count(left: Sequence[str]) -> str:
    return "no process is" if not left else f"{len(left)} processes are ({'; '.join(left)})"


if __name__ == "__main__":
    sys.exit(main())
