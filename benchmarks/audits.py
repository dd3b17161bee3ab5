"""Audits notebooks of checked-out repositories without a server, and prints a table.

``python benchmarks/audits.py LIST OUT`` with a file of ``repository commit path-of-checkout
notebook`` lines; the reports lie in OUT afterwards. Each audit has a process of its own, forked
with all imports made, as a worker does it. The kernel is the one named ``python3``, which
``JUPYTER_PATH`` may set to an environment for older notebooks.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from opspawn_jupyter.kinds.audit import AuditKind
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import Assignment, Grace
from opspawn_jupyter.runners.audit import AuditRunner
from opspawn_jupyter.settings import Settings

LIMIT_SECONDS = 240.0


class _Silent:
    """A reporter whose worker does not listen; keeps the last word."""

    def __init__(self) -> None:
        self.last: Mapping[str, Any] = {}

    def tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        if type in (EventType.FAILED, EventType.CRASHED):
            self.last = data

    def catch_up(self) -> None:
        """Nothing was put off."""

    def on_stop(self, callback: Any) -> None:
        """Nobody stops it."""


def audit(root: Path, notebook: str, directory: Path) -> None:
    """One audit, into the directory."""
    settings = Settings(
        root_directory=root, state_directory=directory / ".state", runs_directory=directory
    )
    kind = AuditKind(settings, KernelSpecManager().get_all_specs)
    prepared = kind.prepare({"notebook": notebook, "kernel": "python3"})
    directory.mkdir(parents=True)
    (directory / "artifacts").mkdir()
    for name, content in prepared.files.items():
        (directory / name).write_bytes(content)
    assignment = Assignment(
        task_id=directory.name,
        attempt=1,
        kind="audit",
        name=notebook,
        spec=prepared.spec,
        policy=Policy(timeout_seconds=LIMIT_SECONDS),
        run_directory=str(directory),
        root_directory=str(root),
    )
    reporter = _Silent()
    AuditRunner(Grace()).run(assignment, directory, reporter)
    if reporter.last:
        (directory / "problem.json").write_text(json.dumps(reporter.last))


def main(listed: Path, out: Path) -> None:
    """Audit each, and print a row of the table."""
    print("| repository | commit | notebook | headline | D E S D H | cells | plain | audit |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for number, line in enumerate(listed.read_text().splitlines()):
        repository, commit, root, notebook = line.split(maxsplit=3)
        directory = out / f"{number:02d}-{Path(notebook).stem.replace(' ', '-')}"
        if not directory.exists():
            started = time.monotonic()
            process = multiprocessing.get_context("fork").Process(
                target=audit, args=(Path(root), notebook, directory.absolute())
            )
            process.start()
            process.join()
            seconds = time.monotonic() - started
            if directory.exists():
                (directory / "seconds").write_text(f"{seconds:.1f}")
        print(_row(repository, commit, notebook, directory), flush=True)


def _row(repository: str, commit: str, notebook: str, directory: Path) -> str:
    try:
        report = json.loads((directory / "artifacts" / "report.json").read_bytes())
    except OSError:
        return f"| {repository} | {commit[:10]} | {notebook} | (no verdict) | | | | |"
    marks = {"pass": "✓", "fail": "✗", "inconclusive": "?", "not_applicable": "-"}
    lights = " ".join(marks[lamp["answer"]] for lamp in report["lamps"])
    classes: dict[str, int] = {}
    for cell in report["cells"]:
        classes[cell["stored"] or "-"] = classes.get(cell["stored"] or "-", 0) + 1
    said = ", ".join(f"{count} {name}" for name, count in classes.items())
    seconds = (directory / "seconds").read_text()
    return (
        f"| {repository} | {commit[:10]} | {notebook} | {report['headline']} | {lights} | {said} "
        f"| {report['runs'][0]['seconds']:.1f} | {seconds} |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
