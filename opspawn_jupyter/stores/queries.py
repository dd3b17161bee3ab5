"""The SQL of the store, read from the ``.sql`` files beside this module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

_FOLDER = resources.files("opspawn_jupyter.stores") / "sql"
#: A name, comments that are for readers, and the text.
_NAMED = re.compile(
    r"^-- name: (\w+)\n(?:-- [^\n]*\n)*(.*?)\n*(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL
)


@cache
def queries() -> Mapping[str, str]:
    """The statements of ``queries.sql`` by name."""
    return dict(_NAMED.findall(_text(_FOLDER / "queries.sql")))


@cache
def views() -> Mapping[str, str]:
    """The scripts of ``views.sql`` by name, in their order."""
    return dict(_NAMED.findall(_text(_FOLDER / "views.sql")))


@cache
def migrations() -> Mapping[int, str]:
    """The migration scripts by their number, in order."""
    files = sorted((_FOLDER / "migrations").iterdir(), key=lambda file: file.name)
    return {int(file.name[:4]): _text(file) for file in files if file.name.endswith(".sql")}


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
