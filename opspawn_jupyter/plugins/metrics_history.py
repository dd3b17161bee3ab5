"""``metrics_history``: figures added to a JSON file that a dashboard reads."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from opspawn_jupyter.files import write_json
from opspawn_jupyter.plugins.configuration import StrictConfig
from opspawn_jupyter.plugins.context import Context


class MetricsHistory:
    """Append ``{"timestamp": …, "metrics": …}`` to the list in a JSON file."""

    outputs = ("path", "entries")

    class Config(StrictConfig):
        """The file is made where there is none."""

        path: str = Field(min_length=1)
        #: The figures themselves, or an earlier step (``stats``) or value of it (``stats.mass``)
        #: that gave them; everything that the steps before gave where it is left out.
        metrics: dict[str, Any] | str | None = None

    def run(self, config: Config, context: Context) -> dict[str, Any]:
        """``path`` of the file, and ``entries``: how many it has now."""
        metrics = _metrics(config.metrics, context)
        path = Path(config.path).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            history = _history(path)
            history.append({"timestamp": datetime.now(UTC).isoformat(), "metrics": metrics})
            write_json(path, history)
        return {"path": str(path), "entries": len(history)}


def _metrics(asked: dict[str, Any] | str | None, context: Context) -> Any:
    if isinstance(asked, dict):
        return asked
    if asked is None:
        return {step: _small(context.inputs.value(step)) for step in context.inputs}
    return _small(context.inputs.value(asked))


def _small(value: Any) -> Any:
    """Figures and texts; a table has no place in a history of figures."""
    if not isinstance(value, Mapping):
        return value
    tables = getattr(value, "tables", ())
    return {name: value[name] for name in value if name not in tables}


def _history(path: Path) -> list[Any]:
    try:
        history = json.loads(path.read_bytes() or b"[]")
    except FileNotFoundError:
        return []
    if not isinstance(history, list):
        message = f"{path} holds no list of entries; it is left as it is"
        raise TypeError(message)
    return history


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two steps that add to one file at the same time lose no entry."""
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
