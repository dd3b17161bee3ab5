"""ipykernel's kernel, without what a forked one has no need of."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from ipykernel import ipkernel
from ipykernel.ipkernel import IPythonKernel
from traitlets import default

from . import early, once
from .family import has_children


class ForkedKernel(IPythonKernel):
    """Answers and ends at once."""

    #: Made before the fork, and still without what only a fork can have.
    is_early = False
    #: What it greets with, where that was made before the fork.
    early_banner: str | None = None

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

    @property
    def banner(self) -> Any:  # type: ignore[override]  # as in the base class
        """What it greets with."""
        return self.early_banner or super().banner

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: Any = None,
        allow_stdin: bool = False,
        *,
        cell_meta: Any = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Run the cell."""
        once.expect(self.shell, code)
        reply: dict[str, Any] = await super().do_execute(  # type: ignore[no-untyped-call]
            code, silent, store_history, user_expressions, allow_stdin,
            cell_meta=cell_meta, cell_id=cell_id,
        )  # fmt: skip
        return reply

    def _process_children(self) -> list[Any]:
        """Those that a shutdown has to end. To look for them reads every process of the system,
        which takes 11 ms; most kernels have none, as one call tells."""
        if not has_children():
            return []
        found: list[Any] = super()._process_children()  # type: ignore[no-untyped-call]
        return found


_accepts_parameters: Any = getattr(ipkernel, "_accepts_parameters", None)
_known: dict[tuple[FunctionType, tuple[str, ...]], dict[str, bool]] = {}


def _accepts_known_parameters(method: Any, names: list[str]) -> dict[str, bool]:
    """Which of these parameters the method takes. ipykernel inspects IPython's for each cell."""
    function = getattr(method, "__func__", None)
    if not isinstance(function, FunctionType):
        found: dict[str, bool] = _accepts_parameters(method, names)
        return found
    key = function, tuple(names)
    if key not in _known:
        _known[key] = _accepts_parameters(method, names)
    return _known[key]


if _accepts_parameters is not None:
    vars(ipkernel)["_accepts_parameters"] = _accepts_known_parameters
