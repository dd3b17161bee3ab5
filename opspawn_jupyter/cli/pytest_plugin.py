"""Notebooks as tests: ``pytest --opspawn-audit`` audits each and fails where it comes to less than
``--opspawn-fail-under``.

Does nothing unless it is asked to, and stands beside nbval: both may collect the same notebook.
All audits run on one server, which is started for the session where none serves the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

# Nothing of ours at the top: every pytest of an environment imports this file.

_HEADLINES = ("FAILS", "EXECUTES", "REPRODUCED", "REPRODUCIBLE", "HERMETIC")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options, in a group of their own."""
    group = parser.getgroup("opspawn", "audits of notebooks")
    group.addoption(
        "--opspawn-audit", action="store_true", help="audit the notebooks that are collected"
    )
    group.addoption(
        "--opspawn-fail-under",
        choices=_HEADLINES,
        default="REPRODUCED",
        metavar="HEADLINE",
        help="fail where an audit comes to less: one of %(choices)s; by default REPRODUCED",
    )
    group.addoption("--opspawn-timeout", type=float, metavar="SECONDS", help="limit for each audit")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A notebook, where audits are asked for."""
    is_asked = parent.config.getoption("opspawn_audit")
    if not is_asked or file_path.suffix != ".ipynb" or ".ipynb_checkpoints" in file_path.parts:
        return None
    collector: pytest.Collector = AuditedNotebook.from_parent(parent, path=file_path)
    return collector


class AuditedNotebook(pytest.File):
    """A notebook that is one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """The audit."""
        yield Audit.from_parent(self, name="audit")


class Audit(pytest.Item):
    """The audit of one notebook."""

    def runtest(self) -> None:
        """Audit it, and hold what comes of it against what was asked for."""
        from opspawn_jupyter.client.audit import Judged
        from opspawn_jupyter.model.audit import Headline

        handle = _client(self.config).audit(
            self.path, timeout_seconds=self.config.getoption("opspawn_timeout")
        )
        handle.wait()
        judged = Judged(task=handle.task)
        least = Headline(self.config.getoption("opspawn_fail_under"))
        if not judged.reaches(least):
            raise TooLittle(judged, least, handle.run_directory)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Sentences instead of a traceback."""
        if isinstance(excinfo.value, TooLittle):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest says that it is."""
        return self.path, None, f"audit of {self.path.name}"


class TooLittle(Exception):
    """An audit came to less than was asked for."""

    def __init__(self, judged: Any, least: Any, run_directory: str | Path) -> None:
        task = judged.task
        lights = task.outputs.get("lights", {})
        reasons = task.outputs.get("reasons", {})
        lines = [
            f"{judged.headline}, asked for was {least}",
            *(f"  {name}: {lights[name]}. {reasons.get(name, '')}" for name in lights),
            *([f"  {task.error.message}"] if task.error is not None else []),
            f"  report: {Path(run_directory) / 'artifacts' / 'report.html'}",
        ]
        super().__init__("\n".join(lines))


_STACK = pytest.StashKey[ExitStack]()
_CLIENT = pytest.StashKey[Any]()


def _client(config: pytest.Config) -> Any:
    """The client of the one server of this session."""
    if _CLIENT not in config.stash:
        from opspawn_jupyter.cli.serving import temporary_server
        from opspawn_jupyter.client import discovery
        from opspawn_jupyter.client.client import AsyncClient, Client

        stack = config.stash[_STACK] = ExitStack()
        root = config.rootpath
        server = discovery.serving(root) or stack.enter_context(temporary_server(root))
        config.stash[_CLIENT] = Client(AsyncClient(server))
    return config.stash[_CLIENT]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server that was started here."""
    if _STACK in config.stash:
        config.stash[_STACK].close()
