"""The agents' questions to the history, which lie in ``sql/agents.sql``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from opspawn_jupyter.orchestrator.context import Orchestration

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?);$", re.MULTILINE | re.DOTALL)
#: A place for a value; ``\p{L}`` in a regular expression is none.
_PLACE = re.compile(r"(?<!\\p)\{(\w+)\}")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


async def ask(o: Orchestration, name: str, **values: Any) -> tuple[tuple[Any, ...], ...]:
    """The rows of the query of this name. Values are put in as literals, because the queries go
    the way of the users' own, which takes no parameters."""
    query = _PLACE.sub(lambda found: _literal(values[found[1]]), _queries()[name])
    return (await o.store.sql(query)).rows


@cache
def _queries() -> dict[str, str]:
    file = resources.files("opspawn_jupyter.orchestrator") / "sql" / "agents.sql"
    found = _NAMED.findall(file.read_text(encoding="utf-8"))
    return {name: _COMMENT.sub("", query) for name, query in found}


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, tuple):
        return "[" + ", ".join(str(float(one)) for one in value) + "]"
    return str(int(value))
