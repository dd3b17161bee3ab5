"""Which fork server a kernel comes from: everything that is fixed before the fork."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from opspawn_jupyter.kernels import inheritance
from opspawn_jupyter.kernels.command import KernelCommand
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.model.work import WORKER_VARIABLE

#: The program, and what it consists of.
PROGRAM = Path(__file__).with_name("fork_server.py")

#: Variables that an interpreter, the C library or a numerical library reads once, at its start.
_READ_AT_START = re.compile(
    r"(PYTHON|LD_|OMP_|GOMP_|KMP_|MKL_|OPENBLAS_|BLIS_|VECLIB_|NUMEXPR_|NUMBA_|CUDA_|MALLOC_|GLIBC_"
    r"|LC_|CONDA_|IPYTHON|XDG_|MPL|PYDEVD_).*"
    r"|HOME|LANG|LANGUAGE|VIRTUAL_ENV"
    rf"|{WORKER_VARIABLE}"  # by which all that a worker started is found
    r"|JUPYTER_(PATH|DATA_DIR|CONFIG_DIR|CONFIG_PATH|RUNTIME_DIR|PLATFORM_DIRS|NO_CONFIG)"
)
_NAME_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An interpreter, its start-up environment and the server's options."""

    interpreter: str
    flags: tuple[str, ...]
    environment: Mapping[str, str]
    options: Options
    #: What the server inherits from whoever starts it.
    inherited: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """Short and equal for equal recipes; holds nothing readable."""
        text = json.dumps([asdict(self), _program_version()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_NAME_LENGTH]

    def plain(self) -> dict[str, Any]:
        """As JSON has it, for ``from_plain``."""
        return {**asdict(self), "options": self.options.dump()}

    @classmethod
    def from_plain(cls, told: Mapping[str, Any]) -> Recipe:
        """Back from JSON."""
        return cls(
            interpreter=told["interpreter"],
            flags=tuple(told["flags"]),
            environment=told["environment"],
            options=Options.load(told["options"]),
            inherited=tuple(told["inherited"]),
        )


def for_launch(
    command: KernelCommand,
    environment: Mapping[str, str],
    options: Options,
    inherited: tuple[str, ...] | None = None,
) -> Recipe | None:
    """The recipe for a kernel's launch; ``None`` where its interpreter is not found.

    ``inherited`` is this process's fingerprint, where it is known already.
    """
    interpreter = shutil.which(command.interpreter, path=environment.get("PATH"))
    if interpreter is None:
        return None
    fixed = tuple(start_up_part(environment).items())
    return _made(interpreter, command.flags, fixed, options, inherited or inheritance.fingerprint())


@lru_cache(maxsize=8)
def _made(
    interpreter: str,
    flags: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    options: Options,
    inherited: tuple[str, ...],
) -> Recipe:
    """The same recipe for the same launch, so that its name is made once."""
    return Recipe(
        interpreter=interpreter,
        flags=flags,
        environment=dict(environment),
        options=options,
        inherited=inherited,
    )


def ordinary(environment: Mapping[str, str], options: Options) -> Recipe:
    """The recipe for the ipykernel of this interpreter, which most notebooks ask for."""
    return Recipe(
        interpreter=sys.executable,
        flags=(),
        environment=start_up_part(environment),
        options=options,
        inherited=inheritance.fingerprint(),
    )


def start_up_part(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that cannot be changed after the start of a process."""
    return {k: v for k, v in environment.items() if _is_read_at_start(k)}


@lru_cache(maxsize=1024)
def _is_read_at_start(name: str) -> bool:
    return bool(_READ_AT_START.fullmatch(name))


@cache
def _program_version() -> list[tuple[str, int]]:
    """Changes when this project is upgraded: a server speaks the language of its time."""
    files = sorted([PROGRAM, *PROGRAM.with_name("forking").glob("*.py")])
    return [(str(file), file.stat().st_mtime_ns) for file in files]
