"""Audits of notebooks: the notebook is pinned, its project found, its rules checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit import workspace
from opspawn_jupyter.audit.rules import rules_of
from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.kinds.kernel_specs import KernelSpecs
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.audit import AuditRequest, AuditSpec
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.settings import Settings

#: What is copied for each run; more has to be narrowed down by inputs.
MOST_BYTES = 2 << 30


class AuditKind:
    """Checks and pins what one server audits."""

    def __init__(self, settings: Settings, kernel_specs: KernelSpecs) -> None:
        self._root = settings.root_directory
        self._notebooks = NotebookKind(settings, kernel_specs)

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The checked spec and the pinned notebook."""
        request = parse(AuditRequest, spec, "spec of an audit task")
        prepared = self._notebooks.prepare(
            {
                "notebook": request.notebook,
                "kernel": request.kernel,
                "working_directory": request.working_directory,
            }
        )
        notebook = wire.decode(NotebookSpec, prepared.spec)
        directory = self._root / notebook.working_directory
        project = workspace.project_of(directory / "notebook", self._root)
        name = Path(notebook.notebook or "notebook").name
        rules_of(json.loads(prepared.files["input.ipynb"]), directory / name, project)
        self._check_inputs(project, request.inputs)
        checked = AuditSpec(
            notebook=notebook.notebook or "",
            project=project.relative_to(self._root).as_posix(),
            kernel=notebook.kernel,
            language=notebook.language,
            working_directory=notebook.working_directory,
            source_sha256=notebook.source_sha256,
            inputs=request.inputs,
            reason=request.reason,
            audited_task=request.audited_task,
        )
        return Prepared(
            name=f"audit-{prepared.name}", spec=wire.encode(checked), files=prepared.files
        )

    def _check_inputs(self, project: Path, inputs: tuple[str, ...]) -> None:
        for name in inputs:
            path = Path(os.path.normpath(project / name))
            if not path.is_relative_to(project) or not path.exists():
                raise InvalidRequest(
                    name, hint=f"an input is a file or directory inside {project.name}/"
                )
        room = MOST_BYTES
        for path in workspace.files_of(project, inputs):
            room -= path.stat().st_size
            if room < 0:
                raise InvalidRequest(
                    str(project),
                    hint=f"it holds more than {MOST_BYTES >> 30} GiB, and every run gets a copy; "
                    "name what the notebook needs with --input",
                )
