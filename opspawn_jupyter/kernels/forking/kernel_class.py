"""ipykernel's kernel, without what a forked one has no need of."""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from traitlets import default

from . import early
from .family import has_children


class ForkedKernel(IPythonKernel):
    """Answers and ends at once."""

    #: Made before the fork, and still without what only a fork can have.
    is_early = False

    @classmethod
    def instance(cls, *args: Any, **parts: Any) -> Any:
        """The kernel of this process; one that was made before the fork is given its parts."""
        kernel: Any = super().instance(*args, **parts)
        if kernel.is_early and parts:
            early.complete(kernel, parts)
        return kernel

    @default("_execute_sleep")
    def _default_execute_sleep(self) -> float:
        """None after each cell: clients read output up to the cell's ``idle``, which the iopub
        thread sends after it, and the pause is for those that do not."""
        return 0.0

    def _process_children(self) -> list[Any]:
        """Those that a shutdown has to end. To look for them reads every process of the system,
        which takes 11 ms; most kernels have none, as one call tells."""
        if not has_children():
            return []
        found: list[Any] = super()._process_children()  # type: ignore[no-untyped-call]
        return found
