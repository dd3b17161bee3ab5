"""Tables of pandas, polars, pyarrow and DuckDB as Parquet files, and back.

None of these packages is imported unless the value at hand comes from it, or a table is read: the
kernel side needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Names of columns that travel with a table; wider ones say only how many they have.
_NAMED_COLUMNS = 200


def is_table(value: Any) -> bool:
    """Whether ``write`` can keep it."""
    return _kind_of(value) in _WRITERS


def write(table: Any, path: Path) -> dict[str, Any]:
    """Keep the table as Parquet; what is known of its shape (``rows``, ``columns``).

    Raises ``ModuleNotFoundError`` for a pandas table where nothing writes Parquet.
    """
    _WRITERS[_kind_of(table)](table, path)
    return _shape(table)


def read(path: Path) -> Any:
    """The table of a Parquet file, as a pandas ``DataFrame`` where pandas is installed, else as
    polars or pyarrow have it. Raises ``ModuleNotFoundError`` where none of them is there."""
    if find_spec("pandas"):
        return _read_pandas(path)
    for package, reader in (("polars", "read_parquet"), ("pyarrow.parquet", "read_table")):
        if find_spec(package.partition(".")[0]):
            return getattr(import_module(package), reader)(path)
    message = f"{path.name} is a table: to read it, install pandas, polars or pyarrow"
    raise ModuleNotFoundError(message)


def _kind_of(value: Any) -> tuple[str, str]:
    """Package and name of the value's class."""
    cls = type(value)
    return cls.__module__.partition(".")[0].lstrip("_"), cls.__name__


def _write_pandas(frame: Any, path: Path) -> None:
    if find_spec("pyarrow"):
        frame.to_parquet(path, engine="pyarrow")
    elif find_spec("duckdb"):
        named = any(frame.index.names)  # DuckDB has no index; one without a name is only a count
        flat = frame.reset_index() if named else frame
        import_module("duckdb").from_df(flat).write_parquet(str(path))
    else:
        message = "a table is kept as Parquet: install pyarrow or duckdb to write it"
        raise ModuleNotFoundError(message)


def _read_pandas(path: Path) -> Any:
    if find_spec("pyarrow"):
        return import_module("pandas").read_parquet(path, engine="pyarrow")
    if find_spec("duckdb"):
        return import_module("duckdb").read_parquet(str(path)).df()
    message = f"{path.name} is a Parquet file: install pyarrow or duckdb to read it"
    raise ModuleNotFoundError(message)


_WRITERS: Mapping[tuple[str, str], Callable[[Any, Path], Any]] = {
    ("pandas", "DataFrame"): _write_pandas,
    ("polars", "DataFrame"): lambda frame, path: frame.write_parquet(path),
    # Neither of these needs to fit into memory.
    ("polars", "LazyFrame"): lambda frame, path: frame.sink_parquet(path),
    ("duckdb", "DuckDBPyRelation"): lambda relation, path: relation.write_parquet(str(path)),
    ("pyarrow", "Table"): lambda table, path: import_module("pyarrow.parquet").write_table(
        table, path
    ),
}


def _shape(table: Any) -> dict[str, Any]:
    package, name = _kind_of(table)
    if name == "LazyFrame":
        return {}  # to know it would mean to compute it a second time
    names = table.column_names if package == "pyarrow" else table.columns
    columns = [str(name) for name in names]
    known: dict[str, Any] = {} if package == "duckdb" else {"rows": _length(table)}
    if len(columns) <= _NAMED_COLUMNS:
        known["columns"] = columns
    return known


def _length(table: Any) -> int:
    return int(table.num_rows) if hasattr(table, "num_rows") else len(table)
