"""``opspawn stale``: notebooks whose outputs are older than their code; for a pre-commit hook."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit.stale import stale as stale_cells
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.errors import NotANotebook, NotebookNotFound

_STALE = 1
_GIT_SECONDS = 60.0


def stale(options: Options) -> int:
    """Say what is stale; the exit code is 1 where anything is."""
    found = {name: _of(Path(name), options.against) for name in options.notebooks}
    if options.json:
        sys.stdout.write(f"{json.dumps(found)}\n")
    else:
        lines = [f"{name}: {said}" for name, several in found.items() for said in several]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return _STALE if any(found.values()) else 0


def _of(path: Path, revision: str) -> list[str]:
    try:
        text = path.read_bytes()
    except OSError as failure:
        raise NotebookNotFound(str(path)) from failure
    earlier = _earlier(path, revision)
    return stale_cells(_parsed(text, path), _parsed(earlier, path) if earlier else None)


def _parsed(text: bytes, path: Path) -> Mapping[str, Any]:
    try:
        notebook: Mapping[str, Any] = json.loads(text)
        cells = notebook["cells"]
        if all("source" in cell and "cell_type" in cell for cell in cells):
            return notebook
    except (ValueError, KeyError, TypeError) as failure:
        raise NotANotebook(str(path), hint="it is no notebook of format 4") from failure
    raise NotANotebook(str(path), hint="a cell has no source")


def _earlier(path: Path, revision: str) -> bytes | None:
    """The file as it was at the revision; None where it was not there, or there is no git."""
    name = f"{revision}:./{path.name}"
    try:
        asked = subprocess.run(
            ["git", "-C", str(path.absolute().parent), "show", name],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except OSError:
        return None
    return asked.stdout if asked.returncode == 0 else None
