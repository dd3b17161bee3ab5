"""The DuckDB file: opened by one process, written by one thread, read through cursors.

The instance is closed to the outside from the start (no files, network, extensions or Python
variables) and its configuration locked, because users' queries run in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from opspawn_jupyter.errors import StoreUnavailable
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.record import recorded
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import engine_threads, open_file, rows
from opspawn_jupyter.stores.queries import migrations, queries

FILE_NAME = "opspawn.duckdb"
_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "memory_limit": "1GB",
    # No spilling: a query could fill the disk that the journal needs.
    "temp_directory": "",
    "threads": str(engine_threads.COUNT),
}
_HOLDER = re.compile(r"\(PID (\d+)\)")


class Database:
    """The file. Reading raises ``StoreUnavailable``, writing ``duckdb.Error``."""

    def __init__(self, path: Path) -> None:
        """Open the file, make it where it is missing, and bring it to the present version.

        Raises ``StoreUnavailable``.
        """
        self._path = path
        self._cursor_lock = Lock()
        #: DuckDB has invalidated what is open; ``reopen`` helps.
        self.is_given_up = False
        self._rescue: open_file.Rescue | None = None
        self._open()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one reader. Raises ``StoreUnavailable`` for what goes wrong with it."""
        try:
            with self._cursor_lock:
                cursor = self._root.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        except duckdb.Error as failure:
            if isinstance(failure, duckdb.FatalException):
                self.is_given_up = True
            raise StoreUnavailable(hint=f"DuckDB says: {first_line(failure)}") from failure

    def rows(self, name: str, **parameters: Any) -> list[Any]:
        """All rows that a named query gives."""
        with self.cursor() as cursor:
            return fetch(cursor, name, **parameters)

    def value(self, name: str, **parameters: Any) -> Any:
        """The first column of the first row; None without rows."""
        found = self.rows(name, **parameters)
        return found[0][0] if found else None

    def begin(self, events: Sequence[Event], finished: Sequence[Task]) -> None:
        """Start the transaction that writes these; ``commit`` or ``abandon`` it."""
        self._connection.begin()
        rewritten = [task.id for task in finished if task.pruned_at is not None]
        if rewritten:
            self._connection.execute(queries()["forget_finished"], {"ids": rewritten})
        for table, lines in (
            ("events", [rows.event_row(event) for event in events]),
            ("finished_tasks", [rows.task_row(task) for task in finished]),
            ("records", [rows.record_row(recorded(e)) for e in events if e.type.subject]),
        ):
            insert(self._connection, table, lines)
        parameters = {"key": "applied", "value": events[-1].seq}
        self._connection.execute(queries()["set_meta"], parameters)

    def commit(self) -> None:
        """Make it durable and visible."""
        self._connection.commit()

    def abandon(self) -> None:
        """Undo what ``begin`` did, whatever became of it."""
        try:
            self._connection.rollback()
        except duckdb.Error:
            return  # a commit that fails has rolled back already

    @property
    def files(self) -> tuple[Path, Path]:
        """The database and its write-ahead log, which need not exist."""
        return self._path, self._path.with_name(f"{self._path.name}.wal")

    @property
    def is_in_place(self) -> bool:
        """Whether the open file is the one that its path names."""
        return open_file.is_at(self._identity, self._path)

    @property
    def is_being_rescued(self) -> bool:
        """It was put back, and nobody has said yet that it is whole."""
        return self._rescue is not None

    def put_back(self) -> None:
        """Give the open file, which somebody has deleted, its name again. ``reopen`` must follow,
        then ``rescued`` where it is whole, or the same again.

        Raises ``StoreUnavailable`` where another file has its place or the system cannot do it,
        ``OSError`` where it cannot be written.
        """
        if self._rescue is None:
            self._rescue = open_file.Rescue(self._path, self._identity)
        # Before the copy is made: in closing, DuckDB writes the file whole and removes its log,
        # by name.
        self.shut()
        self._rescue.put_back()

    def rescued(self) -> None:
        """What was put back is whole."""
        if self._rescue is not None:
            self._rescue.close()
            self._rescue = None

    def reopen(self) -> None:
        """Begin anew, after DuckDB has given the file up or it was put back.

        Raises ``StoreUnavailable`` where it cannot be opened or a reader still holds what was
        open before; then this is to be called again.
        """
        with self._cursor_lock:
            self._release()
            self._open()
            self.is_given_up = False

    def close(self) -> None:
        """Write the file whole and release it."""
        try:
            self._connection.execute("CHECKPOINT")
        finally:
            self._release()

    def _open(self) -> None:
        self._connection = _connect(self._path)
        try:
            self._prepare()
            self._identity = open_file.identity(self._path)
        except duckdb.Error as failure:
            self._connection.close()
            raise _unusable(self._path, failure) from failure
        except (StoreUnavailable, OSError):
            self._connection.close()
            raise
        #: For cursors only, so that they never wait for the writing thread.
        self._root = self._connection.cursor()

    def shut(self) -> None:
        """Refuse every reader until ``reopen``."""
        with self._cursor_lock:
            self._release()

    def _release(self) -> None:
        self._root.close()
        self._connection.close()

    def _prepare(self) -> None:
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute("SET lock_configuration = true")
        _migrate(self._connection, migrations())


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file, open to be read only; no version is brought up to date. Raises
    ``StoreUnavailable``."""
    try:
        with duckdb.connect(path, read_only=True, config=_CONFIGURATION) as connection:
            yield connection
    except duckdb.Error as failure:
        raise _unusable(path, failure) from failure


def fetch(cursor: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Any]:
    """All rows of a named query on this cursor."""
    return cursor.execute(queries()[name], parameters or None).fetchall()


def insert(connection: duckdb.DuckDBPyConnection, table: str, lines: Sequence[Any]) -> None:
    """Append rows to a table."""
    if lines:
        appender = connection.appender(table)
        appender.append_rows(lines)
        appender.flush()


def first_line(failure: duckdb.Error) -> str:
    """What DuckDB says went wrong, without the query and the place in it."""
    return str(failure).splitlines()[0]


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return engine_threads.at_low_priority(lambda: duckdb.connect(path, config=_CONFIGURATION))
    except duckdb.Error as failure:
        raise _unusable(path, failure) from failure


def _unusable(path: Path, failure: duckdb.Error) -> StoreUnavailable:
    message = first_line(failure)
    holder = _HOLDER.search(message)
    detail = {"holder_pid": int(holder[1])} if holder else {}
    if holder:
        hint = f"process {holder[1]} has it open; stop that server, or give one another root"
    elif "not a valid DuckDB database" in message:
        hint = (
            "the file is damaged; restore it, or stop the server and run `opspawn store rebuild`, "
            "which restores the history from the run directories"
        )
    else:
        hint = f"DuckDB says: {message}; the server must be able to read and write this file"
    return StoreUnavailable(str(path), hint=hint, detail=detail)


def _migrate(connection: duckdb.DuckDBPyConnection, scripts: Mapping[int, str]) -> None:
    """Apply the scripts that the file has not seen, each in a transaction."""
    version = _version(connection)
    known = max(scripts)
    if version > known:
        raise StoreUnavailable(
            hint=f"its version is {version} and this opspawn knows versions up to {known}; "
            "install the newer opspawn again"
        )
    for number in range(version + 1, known + 1):
        connection.begin()
        connection.execute(scripts[number])
        connection.execute(queries()["set_meta"], {"key": "version", "value": number})
        connection.commit()


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    (exists,) = fetch(connection, "meta_exists")[0]
    return int(fetch(connection, "meta", key="version")[0][0]) if exists else 0
