"""The notebook that is run, made from the one that was pinned."""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from nbformat import ValidationError
from papermill.exceptions import PapermillException
from papermill.execute import prepare_notebook_metadata, remove_error_markers
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from papermill.version import version as papermill_version

from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.runners import kernelspecs

#: What goes wrong with a notebook that cannot be read or given its parameters.
CANNOT_PREPARE = (OSError, ValueError, ValidationError, PapermillException)

#: Languages under the name by which papermill knows how to write their parameters.
_PAPERMILL_LANGUAGE = {"r": "R"}


def notebook(files: RunDirectory, spec: NotebookSpec) -> Any:
    """papermill's preparation, without its formatting of braces in paths.

    Raises one of ``CANNOT_PREPARE``.
    """
    prepared = load_notebook_node(str(files.input))
    if spec.parameters:
        prepared = parameterize_notebook(
            prepared,
            dict(spec.parameters),
            kernel_name=spec.kernel,
            language=_PAPERMILL_LANGUAGE.get(spec.language, spec.language),
        )
    prepared.metadata.papermill["version"] = papermill_version
    _note_kernel(prepared, spec)
    source = spec.notebook or str(files.input)
    prepared = prepare_notebook_metadata(prepared, source, str(files.output))
    return remove_error_markers(prepared)


def _note_kernel(prepared: Any, spec: NotebookSpec) -> None:
    """Let the executed notebook open in the kernel that executed it."""
    if prepared.metadata.get("kernelspec", {}).get("name") == spec.kernel:
        return
    try:
        display_name = kernelspecs.find(spec.kernel).display_name
    except NoSuchKernel:
        display_name = spec.kernel
    prepared.metadata["kernelspec"] = {
        "name": spec.kernel,
        "display_name": display_name,
        "language": spec.language,
    }
