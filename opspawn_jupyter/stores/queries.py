"""The SQL of the store, read from the ``.sql`` files beside this module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

_FOLDER = resources.files("opspawn_jupyter.stores") / "sql"
_STATEMENT = re.compile(r"CREATE TEMP (?:TABLE|VIEW) (\w+) AS\b.*?;\n", re.DOTALL)
#: What may tell of views without naming them.
_LOOKING_AROUND = re.compile(r"show|schema|duckdb_|sqlite_|pg_|query", re.IGNORECASE)
_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


@cache
def queries() -> Mapping[str, str]:
    """The statements of ``queries.sql`` by name."""
    return dict(_NAMED.findall(_text(_FOLDER / "queries.sql")))


def views(query: str) -> str:
    """The script that makes the public views which the query may look at, and what these stand
    on: to make all of them takes longer than most queries."""
    known = _views()
    if _LOOKING_AROUND.search(query):
        return every_view()
    wanted, texts = set[str](), [query]
    while texts:
        text = texts.pop()
        found = {name for name in known.keys() - wanted if _is_in(name, text)}
        wanted |= found
        texts += [known[name] for name in found]
    return "".join(
        text for name, text in known.items() if name in wanted or name.startswith("held_")
    )


def every_view() -> str:
    """The script that makes all of them."""
    return "".join(_views().values())


def _is_in(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text, re.IGNORECASE) is not None


@cache
def _views() -> Mapping[str, str]:
    """The statements of ``views.sql`` by the name of what they make, in their order."""
    text = _text(_FOLDER / "views.sql")
    return {match[1]: match[0] for match in _STATEMENT.finditer(text)}


@cache
def migrations() -> Mapping[int, str]:
    """The migration scripts by their number, in order."""
    files = sorted((_FOLDER / "migrations").iterdir(), key=lambda file: file.name)
    return {int(file.name[:4]): _text(file) for file in files if file.name.endswith(".sql")}


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
