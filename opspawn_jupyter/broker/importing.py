"""Servers that other programs' files name: offered, and taken over only when somebody says so.

A repository that was cloned must not start programs; what is taken over still needs the approval of
its command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opspawn_jupyter.broker.config import FILE_NAME, entries_of
from opspawn_jupyter.errors import InvalidRequest, OutsideRoot, StoreUnavailable
from opspawn_jupyter.files import write_json

#: Where other programs keep theirs, below the server's root.
_ELSEWHERE = (".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json", ".jupyter/mcp_settings.json")
#: VS Code's word for the directory that is open.
_FOLDER = re.compile(r"\$\{workspaceFolder\}")


def offers(root: Path, known: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """By file, the servers that are named there and not here."""
    found = {}
    for place in _ELSEWHERE:
        try:
            names = tuple(name for name in entries_of(root / place) if name not in known)
        except InvalidRequest:
            continue  # not there, or not for us
        if names:
            found[place] = names
    return found


def take_over(root: Path, given: str) -> Sequence[str]:
    """Write the file's servers into the one in the root; those that are there stay as they are.

    Returns the names that are new. Raises ``OutsideRoot``, ``InvalidRequest``.
    """
    source = (root / given).resolve()
    if not source.is_relative_to(root.resolve()):
        raise OutsideRoot(given)
    entries = entries_of(source)
    target = root / FILE_NAME
    document = _document(target)
    present = document.setdefault("mcpServers", {})
    new = {name: _ours(entry) for name, entry in entries.items() if name not in present}
    present |= new
    try:
        write_json(target, document, 0o600)
    except OSError as failure:
        raise StoreUnavailable(str(target), hint=str(failure.strerror)) from failure
    return sorted(new)


def _document(target: Path) -> dict[str, Any]:
    try:
        document = json.loads(target.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as failure:
        raise InvalidRequest(str(target), hint=f"it cannot be read: {failure}") from failure
    if not isinstance(document, dict) or not isinstance(document.get("mcpServers", {}), dict):
        raise InvalidRequest(str(target), hint="it is no mcpServers file; mend it first")
    return document


def _ours(entry: Any) -> Any:
    """The entry with other programs' words in ours."""
    return json.loads(_FOLDER.sub("${JUPYTER_ROOT_DIR}", json.dumps(entry)))
