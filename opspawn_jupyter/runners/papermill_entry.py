"""The engine as papermill finds it: ``papermill --engine opspawn in.ipynb out.ipynb``.

papermill loads the engines of all installed packages while it is itself half imported, so
nothing here may import it until an engine is used.
"""

from __future__ import annotations

from typing import Any


class OpspawnEngine:
    """Runs a notebook for papermill. Registered as entry point ``opspawn`` of
    ``papermill.engine``; the class stands for papermill's ``Engine``, which it cannot import."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """The notebook, executed. Raises ``DeadKernelError``, ``CellTimeoutError``."""
        from opspawn_jupyter.runners.papermill_engine import execute

        return execute(nb, kernel_name, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Name of the kernel that the notebook asks for, where none is given."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Language of the notebook, where none is given."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
