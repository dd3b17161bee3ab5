"""Values that a step gives: small ones travel, large ones stay with the task as files."""

from __future__ import annotations

import hashlib
import importlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from opspawn_jupyter.client import tables
from opspawn_jupyter.client.inputs import loaded
from opspawn_jupyter.client.stored import MAX_INLINE_BYTES, stored
from opspawn_jupyter.model.run_directory import RunDirectory

COLUMNS = {"n": [1, 2, 3], "word": ["a", "b", None]}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A task's directory."""
    directory = tmp_path / "run"
    directory.mkdir()
    return RunDirectory(directory)


def test_a_small_value_travels_as_it_is(run: RunDirectory) -> None:
    assert stored("x", {"a": [1, None]}, run) == {"a": [1, None]}
    assert not run.artifacts.exists()


def test_a_large_value_stays_in_a_file(run: RunDirectory) -> None:
    """The server must never have to hold it."""
    value = ["ü" * 100] * 1000

    given = stored("x", value, run)

    assert len(json.dumps(given)) < 300
    assert given["format"] == "json"
    content = (run.path / given["$file"]).read_bytes()
    assert given["sha256"] == hashlib.sha256(content).hexdigest()
    assert given["size_bytes"] == len(content) > MAX_INLINE_BYTES
    assert loaded(given, run.path) == value


@pytest.fixture
def pl() -> Iterator[Any]:
    """polars. Its import takes the handler of Ctrl-C over in such a way that a wait for a lock is
    no longer interrupted; Python's own is put back, for the tests that follow."""
    yield importlib.import_module("polars")
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))


@pytest.mark.parametrize(
    "table",
    [
        lambda _: pd.DataFrame(COLUMNS),
        lambda pl: pl.DataFrame(COLUMNS),
        lambda pl: pl.DataFrame(COLUMNS).lazy(),
        lambda _: pa.table(COLUMNS),
    ],
    ids=["pandas", "polars", "polars, lazy", "pyarrow"],
)
def test_a_table_of_any_package_is_kept_as_parquet(
    run: RunDirectory, pl: Any, table: Callable[[Any], Any]
) -> None:
    given = stored("people", table(pl), run)

    assert (given["format"], given["$file"]) == ("parquet", "artifacts/outputs/people.parquet")
    frame = loaded(given, run.path)
    assert list(frame.columns) == ["n", "word"]
    assert frame["n"].tolist() == [1, 2, 3]
    assert frame["word"].isna().tolist() == [False, False, True]


def test_a_table_of_duckdb_is_kept_too(run: RunDirectory) -> None:
    given = stored("r", duckdb.sql("select 1 as n union all select 2 order by n"), run)

    assert loaded(given, run.path)["n"].tolist() == [1, 2]
    assert given["columns"] == ["n"]


def test_a_table_tells_its_shape(run: RunDirectory) -> None:
    given = stored("people", pd.DataFrame(COLUMNS), run)

    assert (given["rows"], given["columns"]) == (3, ["n", "word"])


def test_pandas_without_pyarrow_writes_and_reads_by_duckdb(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyarrow is large, and DuckDB comes with opspawn."""
    monkeypatch.setattr(tables, "find_spec", lambda name: None if name == "pyarrow" else name)
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="key"))

    given = stored("t", frame, run)

    assert loaded(given, run.path).to_dict("list") == {"key": ["a", "b"], "n": [1, 2]}


def test_a_path_stands_for_its_file(run: RunDirectory, tmp_path: Path) -> None:
    run.artifacts.mkdir()
    inside, outside = run.artifacts / "a.bin", tmp_path / "b.bin"
    for path in (inside, outside):
        path.write_bytes(b"12345")

    given, elsewhere = stored("a", inside, run), stored("b", outside, run)

    assert (given["$file"], given["size_bytes"]) == ("artifacts/a.bin", 5)
    assert elsewhere["$file"] == str(outside)
    assert loaded(given, run.path) == inside
    assert loaded(elsewhere, run.path) == outside


def test_names_that_differ_only_in_signs_have_files_of_their_own(run: RunDirectory) -> None:
    names = ["a b", "a-b", "a/b", "../a"]
    frames = {name: pd.DataFrame({"n": [n]}) for n, name in enumerate(names)}

    given = {name: stored(name, frame, run) for name, frame in frames.items()}

    assert len({one["$file"] for one in given.values()}) == 4
    assert all((run.artifacts / "outputs") in (run.path / one["$file"]).parents
               for one in given.values())  # fmt: skip
    assert [loaded(one, run.path)["n"][0] for one in given.values()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (Path("nowhere.csv"), FileNotFoundError, "no file"),
        ({"$file": "/etc/passwd"}, ValueError, "stands for a file"),
        (object(), TypeError, "'x' cannot be written as JSON"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_name(
    run: RunDirectory, value: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        stored("x", value, run)


def test_a_file_that_was_changed_or_removed_is_not_taken_for_the_value(run: RunDirectory) -> None:
    """A step must not go on with something else than what the step before gave."""
    given = stored("t", pd.DataFrame(COLUMNS), run)
    path = run.path / given["$file"]

    path.write_bytes(b"other")
    with pytest.raises(ValueError, match="was changed"):
        loaded(given, run.path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is gone"):
        loaded(given, run.path)
