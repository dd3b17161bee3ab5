"""The history of a kernel that keeps it in memory: a database that is made when it is asked.

IPython makes it with the shell, and few notebooks ever look anything up in it. What was entered is
noted elsewhere until then, as with IPython. A connection must not exist before a fork, either.
"""

from __future__ import annotations

from typing import Any

from IPython.core import history
from traitlets import default

#: The argument with which a kernel keeps its history in memory.
ARGUMENT = "--HistoryManager.hist_file=:memory:"


class HistoryManager(history.HistoryManager):
    """As its base class, whose name it has: it stands in its place."""

    #: Its database has been made.
    is_made = False
    #: The kernel ends, and nobody will read any more.
    is_over = False

    def init_db(self) -> None:
        """Nothing so far. Raises ``ValueError`` for a history on disk."""
        if str(self.hist_file) != ":memory:":
            raise ValueError(self.hist_file)

    def new_session(self, conn: Any = None) -> None:
        """The first is there with the database."""
        if self.is_made or self.session_number:
            super().new_session(conn)
        else:
            self.session_number = 1

    def end_session(self) -> None:
        """Nothing at the end of what nobody has read."""
        if self.is_made or not self.is_over:
            super().end_session()

    def close(self) -> None:
        """Close what there is."""
        if self.is_made:
            super().close()

    @default("db")
    def _make(self) -> Any:
        self.is_made = True
        super().init_db()
        super().new_session(self.db)
        return self.db
