"""The surroundings of each run: what the control run has, and what is made different."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from opspawn_jupyter.audit import observer
from opspawn_jupyter.model.audit import Perturbation

_OBSERVER = Path(observer.__file__).parent
_PROBE_SECONDS = 20.0
#: Half past nothing: an odd offset shows hours and minutes that were taken from the clock.
_ZONE = "Asia/Kathmandu"
_ZONE_RULE = "<+0545>-5:45"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip

#: Tried together first; without those that this machine cannot make.
ALL = tuple(Perturbation)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where one run happens. All paths absolute."""

    #: The copy of the project.
    workspace: Path
    trace: Path
    #: For what the run throws away.
    temporary: Path
    #: The original, which stays as it is.
    protected: Path
    #: Lies in ``protected`` perhaps, and is written all the same.
    allowed: Path


def variables(places: Places, perturbed: tuple[Perturbation, ...]) -> dict[str, str]:
    """The environment variables of a run beyond what every kernel gets."""
    path = os.pathsep.join(filter(None, (str(_OBSERVER), os.environ.get("PYTHONPATH", ""))))
    own = {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(places.temporary / "ipython"),
        "TMPDIR": str(places.temporary),
        "OPSPAWN_AUDIT_TRACE": str(places.trace),
        "OPSPAWN_AUDIT_PROTECTED": str(places.protected),
        "OPSPAWN_AUDIT_ALLOWED": str(places.allowed),
    }
    for perturbation in perturbed:
        own.update(_CHANGES.get(perturbation, dict)())
    return own


def prefix(
    places: Places, perturbed: tuple[Perturbation, ...], *, is_humble: bool
) -> tuple[str, ...]:
    """Words before the kernel's command: they put it into namespaces of its own, where the system
    lets users have them. A humble run leaves the processors to the one beside it."""
    before = ("nice", "-n", "5") if is_humble and shutil.which("nice") else ()
    if not can_enclose():
        return before
    hides = Perturbation.NETWORK in perturbed
    return (
        *before, "unshare", "-rmn" if hides else "-rm", sys.executable, "-I", "-S",
        str(_OBSERVER / "enclosure.py"), str(places.protected), str(places.allowed),
        "yes" if hides else "no", "--",
    )  # fmt: skip


@cache
def can_enclose() -> bool:
    """Whether kernels can be started in namespaces of their own. Looked up once."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    here = str(_OBSERVER)
    command = ["unshare", "-rmn", sys.executable, "-I", "-S", str(_OBSERVER / "enclosure.py"),
               here, here, "yes", "--", "true"]  # fmt: skip
    try:
        asked = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return asked.returncode == 0


def _seed() -> Mapping[str, str]:
    return {"PYTHONHASHSEED": "4242"}


def _zone() -> Mapping[str, str]:
    is_known = Path("/usr/share/zoneinfo", _ZONE).exists()
    return {"TZ": _ZONE if is_known else _ZONE_RULE}


def _locale() -> Mapping[str, str]:
    return {"LC_ALL": other_locale(), "LANG": other_locale(), "PYTHONUTF8": "1"}


def _threads() -> Mapping[str, str]:
    return dict.fromkeys(_THREAD_VARIABLES, "1")


_CHANGES = {
    Perturbation.HASH_SEED: _seed,
    Perturbation.TIME_ZONE: _zone,
    Perturbation.LOCALE: _locale,
    Perturbation.THREADS: _threads,
}


@cache
def other_locale() -> str:
    """A locale that writes numbers and dates otherwise, where one is installed."""
    try:
        listed = subprocess.run(
            ["locale", "-a"], capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return "C"
    names = listed.stdout.decode(errors="replace").split()
    here = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    others = [name for name in names if "utf8" in name.lower() and not name.startswith("C")]
    others.sort(key=lambda name: (not name.startswith(("de_", "fr_")), name))
    return next((name for name in others if name[:2] != here[:2]), "C")
