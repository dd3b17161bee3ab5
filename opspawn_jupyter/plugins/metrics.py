"""``metrics``: figures of the numeric columns of a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from opspawn_jupyter.plugins.configuration import StrictConfig
from opspawn_jupyter.plugins.context import Context

_FIGURES = ("mean", "median", "std", "min", "max", "count")


class Metrics:
    """Mean, median, standard deviation, minimum, maximum and count of each numeric column."""

    class Config(StrictConfig):
        """Without ``table`` and ``path``: the only table that the steps before have given."""

        #: All numeric columns where it is left out.
        numeric_columns: list[str] | None = None
        #: An earlier step's table, as ``ingest.dataframe``.
        table: str | None = None
        #: A CSV or Parquet file.
        path: str | None = None

    def run(self, config: Config, context: Context) -> dict[str, Any]:
        """The figures by column; each is None where the column has no number at all."""
        frame = _frame(config, context)
        return {name: _figures(frame[name]) for name in _chosen(frame, config.numeric_columns)}


def _frame(config: Metrics.Config, context: Context) -> Any:
    """The table as pandas has it."""
    if config.table and config.path:
        message = "give a table or a path, not both"
        raise ValueError(message)
    if config.path:
        return _from_file(Path(config.path))
    reference = config.table or _only_table(context)
    if Path(reference).is_absolute():  # a template that named a table became its file's path
        return _from_file(Path(reference))
    table = context.inputs.value(reference)
    return table.to_pandas() if hasattr(table, "to_pandas") else table


def _from_file(path: Path) -> Any:
    import pandas as pd  # an extra, and heavy: only the step's kernel needs it

    from opspawn_jupyter.client import tables

    return tables.read(path) if path.suffix == ".parquet" else pd.read_csv(path)


def _only_table(context: Context) -> str:
    found = [f"{step}.{name}" for step, one in context.inputs.items() for name in one.tables]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"several tables come from the steps before: choose one with table: {found[0]}"
        raise LookupError(f"{message} (or {', '.join(found[1:])})")
    message = "no step before this one gave a table; name a file with path: data.csv"
    raise LookupError(message)


def _chosen(frame: Any, asked: list[str] | None) -> list[str]:
    numeric = list(frame.select_dtypes("number").columns)
    if asked is None:
        return numeric
    wrong = [name for name in asked if name not in numeric]
    if wrong:
        listed = ", ".join(str(name) for name in numeric) or "none"
        message = f"no numeric columns: {', '.join(wrong)}; numeric are {listed}"
        raise ValueError(message)
    return asked


def _figures(column: Any) -> dict[str, float | int | None]:
    given = {name: getattr(column, name)() for name in _FIGURES}
    return {name: _finite(value) for name, value in given.items()}


def _finite(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    return number if math.isfinite(number) else None
