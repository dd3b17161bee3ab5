"""What environment variables the kernel of a task gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from opspawn_jupyter.kernels.servers import DIRECTORY_VARIABLE, OWNER_VARIABLE
from opspawn_jupyter.model.work import TASK_VARIABLE, WORKER_VARIABLE

#: Our own way into the server, the server's ways into its hub, and the worker's fork servers: not
#: for user code.
_NOT_FOR_KERNELS = (
    "OPSPAWN_URL", "OPSPAWN_TOKEN", "JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN",
    DIRECTORY_VARIABLE, OWNER_VARIABLE,
)  # fmt: skip


def kernel_environment(
    base: Mapping[str, str], *, task_id: str, run_directory: Path
) -> dict[str, str]:
    """What an interactive kernel of the server would get, less our own tokens, with the task's
    id and its run directory."""
    kept = {
        name: value
        for name, value in base.items()
        if name not in _NOT_FOR_KERNELS and not name.startswith("JPY_")
    }
    return {**kept, **own_variables(task_id, str(run_directory))}


def own_variables(task_id: str, run_directory: str) -> dict[str, str]:
    """Those that say which task it is."""
    return {TASK_VARIABLE: task_id, "OPSPAWN_RUN_DIRECTORY": run_directory}


#: What a kernel needs to find its programs, packages, language and directories; no more is given
#: to one in which a language model's code runs.
_HARMLESS = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
     "IPYTHONDIR", "MPLBACKEND", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", WORKER_VARIABLE,
     "JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"}
)  # fmt: skip
_HARMLESS_PREFIXES = ("LC_", "PYTHON", "CONDA_", "XDG_", "OMP_")


def agent_environment(
    base: Mapping[str, str], *, task_id: str, run_directory: Path
) -> dict[str, str]:
    """What the kernel of an agent gets: no key, token or password, whatever its name is."""
    kept = {
        name: value
        for name, value in base.items()
        if name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES)
    }
    return kernel_environment(kept, task_id=task_id, run_directory=run_directory)
