"""``opspawn verify``: a bundle of evidence, or the history itself; needs no server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit.merkle import Tree
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.state_files import root_above, server_pid
from opspawn_jupyter.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable, Unavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.stores.inspection import event_hashes

_BAD = 1


def verify(options: Options) -> int:
    """Verify and say what was found; the exit code is 1 where something is wrong."""
    return _bundle(options) if options.bundle else _history(options)


def _bundle(options: Options) -> int:
    try:
        # Not at the top: cryptography comes with an extra, and the history needs none of it.
        from opspawn_jupyter.audit.verify import verify as verify_bundle
    except ImportError as missing:
        hint = "install the extra: pip install 'opspawn-jupyter[audit]'"
        raise Unavailable(str(missing.name), hint=hint) from missing
    path = Path(options.bundle).expanduser()
    if not path.exists():
        raise NotFound(options.bundle, hint="give the path of a bundle, or of its directory")
    key = Path(options.key).expanduser().read_bytes() if options.key else None
    found = verify_bundle(path, key)
    lines = [f"✓ {check}" for check in found.checks]
    if found.problem is not None:
        lines.append(f"✗ {found.problem}")
    else:
        whose = "the given key" if key else "the bundle's own key; compare its id"
        lines.append(f"{found.headline}, sealed by {whose}: {found.key_id}")
    record = {"problem": found.problem, "checks": list(found.checks), "key_id": found.key_id,
              "headline": found.headline}  # fmt: skip
    _show(options, record, lines)
    return 0 if found.problem is None else _BAD


def _history(options: Options) -> int:
    root = Path(options.root).expanduser().absolute() if options.root else root_above(Path.cwd())
    state = root / ".opspawn"
    pid = server_pid(state)
    if pid is not None:
        raise Conflict(str(state), hint=f"stop the server first: it is process {pid}")
    try:
        hashes = list(event_hashes(state))
    except StoreUnavailable as broken:
        _show(options, {"problem": broken.message}, [f"✗ {broken.message}"])
        return _BAD
    head = {"tree_size": len(hashes), "root_sha256": Tree(hashes).root,
            "at": clock.now().isoformat()}  # fmt: skip
    bad = next(_contradictions(options, hashes), None)
    said = f"{len(hashes)} events, tree head {head['root_sha256']}"
    lines = ["✓ each event follows the one before it", said]
    if bad is None and options.note:
        _note(Path(options.note).expanduser(), head)
    _show(options, {"problem": bad, "head": head}, lines if bad is None else [f"✗ {bad}"])
    return 0 if bad is None else _BAD


def _contradictions(options: Options, hashes: list[str]) -> Iterator[str]:
    """Where the history lacks what it held when a head was noted."""
    if not options.head:
        return
    path = Path(options.head).expanduser()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        head = _noted(line, path, number)
        size = head["tree_size"]
        when = f"the head of {head.get('at', 'line ' + str(number))}"
        if size > len(hashes):
            yield f"{when} is over {size} events, of which {size - len(hashes)} are gone"
        elif Tree(hashes[:size]).root != head["root_sha256"]:
            yield f"{when}: its {size} events are not those that the history holds now"


def _noted(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        given = json.loads(line)
        head = {**given, "tree_size": int(given["tree_size"]), "root_sha256": given["root_sha256"]}
    except (ValueError, KeyError, TypeError) as failure:
        raise InvalidRequest(str(path), hint=f"line {number} is no tree head") from failure
    return head


def _note(path: Path, head: dict[str, Any]) -> None:
    """Add a line; heads that were noted before stay as they are."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(head, sort_keys=True) + "\n")


def _show(options: Options, record: dict[str, Any], lines: list[str]) -> None:
    text = json.dumps(record) if options.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")
