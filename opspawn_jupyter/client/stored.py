"""Values on their way to the task: small ones travel, large ones stay behind as files.

What travels is JSON of at most 64 kB. Everything larger lies in the run directory, written by the
kernel that made it, and only its place and digest travel (``FileValue``): no server and no worker
ever holds it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from opspawn_jupyter.client import tables
from opspawn_jupyter.client.values import plain
from opspawn_jupyter.files import sha256_of, write_atomic
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.workflow import FILE_KEY, FileValue, as_output

MAX_INLINE_BYTES = 64 * 1024
#: They are JSON, and short ones are most of what small steps give.
_NUMBERS = frozenset({int, bool})
_LARGEST = 1 << 64
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 60


def stored(name: str, value: Any, run: RunDirectory | None) -> Any:
    """What stands for the value: itself, or the place of the file that holds it.

    ``run`` is the task's directory; without one (a notebook that is run by hand) nothing is
    written. Raises ``TypeError``, ``ValueError`` or ``FileNotFoundError`` for a value that cannot
    be kept.
    """
    if value is None or (type(value) in _NUMBERS and abs(value) <= _LARGEST):
        return value
    if isinstance(value, os.PathLike):
        return _given_file(Path(value), run)
    if tables.is_table(value):
        return None if run is None else _table(name, value, run)
    plain_value = _plain(name, value)
    text = json.dumps(plain_value, ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "backslashreplace"
    )
    if len(text) <= MAX_INLINE_BYTES:
        return plain_value
    return None if run is None else _kept_bytes(name, text, run, "json")


def stored_table(name: str, parquet: bytes, run: RunDirectory) -> dict[str, Any]:
    """What stands for a table that is a Parquet file already."""
    return _kept_bytes(name, parquet, run, "parquet")


def _plain(name: str, value: Any) -> Any:
    try:
        plain_value = plain(value)
    except (TypeError, ValueError) as problem:
        message = f"output {name!r} cannot be written as JSON: {problem}"
        raise type(problem)(message) from None
    if isinstance(plain_value, dict) and FILE_KEY in plain_value:
        message = f"output {name!r} has a key {FILE_KEY!r}, which stands for a file"
        raise ValueError(message)
    return plain_value


def _table(name: str, table: Any, run: RunDirectory) -> dict[str, Any]:
    path = _place(run, name, "parquet")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        shape = tables.write(table, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return {**as_output(_described(path, run, "parquet")), **shape}


def _kept_bytes(name: str, content: bytes, run: RunDirectory, form: str) -> dict[str, Any]:
    path = _place(run, name, form)
    write_atomic(path, content)
    return as_output(_described(path, run, form))


def _given_file(path: Path, run: RunDirectory | None) -> dict[str, Any] | None:
    """A file that the notebook wrote; it stays where it is."""
    if not path.is_file():
        message = f"there is no file at {str(path)!r}"
        raise FileNotFoundError(message)
    return None if run is None else as_output(_described(path.resolve(), run, "file"))


def _described(path: Path, run: RunDirectory, form: str) -> FileValue:
    home = run.path.resolve()
    absolute = path.resolve()
    inside = absolute.is_relative_to(home)
    return FileValue(
        path=(absolute.relative_to(home) if inside else absolute).as_posix(),
        sha256=sha256_of(path),
        size_bytes=absolute.stat().st_size,
        format=form,
    )


def _place(run: RunDirectory, name: str, suffix: str) -> Path:
    """A file of its own for each name, also for names that only differ in signs."""
    safe = _UNSAFE.sub("-", name)[:_LONGEST_NAME]
    if safe != name:
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    directory = run.artifacts / "outputs"
    directory.mkdir(parents=True, exist_ok=True)
    return directory / f"{safe}.{suffix}"
