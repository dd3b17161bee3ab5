"""The example that comes with opspawn, copied to where it can be tried."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from opspawn_jupyter.errors import UsageError

_PATTERNS = ("*.yaml", "*.ipynb", "*.py", "data/*")


def copy_example(destination: str) -> Path:
    """The directory with the copy. Raises ``UsageError`` where a file would be overwritten."""
    target = Path(destination).expanduser().absolute()
    with as_file(files("opspawn_notebooks") / "examples") as source:
        found = sorted({path for pattern in _PATTERNS for path in source.glob(pattern)})
        wanted = {path.relative_to(source): path for path in found if path.is_file()}
        present = [name for name in wanted if (target / name).exists()]
        if present or (target.exists() and not target.is_dir()):
            hint = f"{present[0]} is there already" if present else "it is no directory"
            raise UsageError(destination, hint=f"{hint}; choose a new directory")
        for name, path in wanted.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(path.read_bytes())
    return target
