"""The environment variables of a process that runs one step after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from opspawn_jupyter.kernels.forking import variables
from opspawn_jupyter.model.work import TASK_VARIABLE, Assignment
from opspawn_jupyter.runners.kernel_variables import kernel_environment, own_variables

_given: tuple[Mapping[bytes, bytes], Mapping[str, str]] = ({}, {})


def given() -> Mapping[str, str]:
    """What the process was given, made to texts again only where something was changed."""
    global _given  # noqa: PLW0603  it is the process that was given them
    known = variables.known()
    if known != _given[0]:
        _given = dict(known), dict(os.environ)
    return _given[1]


class Variables:
    """What the process was given, less what is not for users' code, with each step's own."""

    def __init__(self) -> None:
        given = kernel_environment(os.environ, task_id="", run_directory=Path())
        self._base = {name: value for name, value in given.items() if name != TASK_VARIABLE}
        #: All that there are now.
        self._bytes: Mapping[bytes, bytes] = variables.known()
        #: The last step's own, and all that there was with them.
        self._own: Mapping[str, str] = {}
        self._last_bytes: Mapping[bytes, bytes] = {}

    def enter(self, assignment: Assignment) -> None:
        """Have this step's, and none that another step has made."""
        own = {
            **own_variables(assignment.task_id, assignment.run_directory),
            **assignment.environment,
        }
        if self._bytes == self._last_bytes and own.keys() == self._own.keys():
            for name, value in own.items() - self._own.items():
                os.environ[name] = value
        else:
            self._restore({**self._base, **own})
        self._own, self._last_bytes = own, dict(self._bytes)

    def _restore(self, wanted: Mapping[str, str]) -> None:
        present = dict(os.environ)
        for name in present.keys() - wanted.keys():
            del os.environ[name]
        os.environ.update(wanted.items() - present.items())
