"""Cells run in this very process, as plain Python: no kernel, no magics, no ``await`` outside of a
function. For notebooks that are ours, made for one plugin."""

from __future__ import annotations

import ast
import io
import os
import sys
import traceback
from functools import lru_cache
from types import CodeType
from typing import Any, NoReturn

from IPython.core.formatters import DisplayFormatter

from opspawn_jupyter.kernels.forking import ending

_formatter = DisplayFormatter()
_PLAIN = frozenset({int, float, bool})


class PlainCells:
    """The cells of one notebook, which share their names."""

    def __init__(self, most_bytes: int) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._streams = _Stream("stdout", most_bytes), _Stream("stderr", most_bytes)

    def run(self, source: str, count: int) -> tuple[list[dict[str, Any]], BaseException | None]:
        """The cell's outputs, as the notebook format has them, and what it raised."""
        outputs: list[dict[str, Any]] = []
        streams, pid = (sys.stdout, sys.stderr), os.getpid()
        for stream in self._streams:
            stream.begin(outputs)
        sys.stdout, sys.stderr = self._streams
        value, raised = self._outcome(source, f"<cell {count}>")
        sys.stdout, sys.stderr = streams
        if os.getpid() != pid:
            _leave(raised)
        if raised is not None:
            return [*outputs, _error(raised)], raised
        if value is not None:
            outputs.append(_result(value, count))
        return outputs, None

    def _outcome(self, source: str, file_name: str) -> tuple[Any, BaseException | None]:
        try:
            return self._value(source, file_name), None
        except BaseException as problem:  # whatever the code raises is its own failure
            return None, problem

    def _value(self, source: str, file_name: str) -> Any:
        """What the last line comes to, where that is an expression."""
        statements, last = _compiled(source, file_name)
        exec(statements, self._names)  # noqa: S102 (it is what it is for)
        return None if last is None else eval(last, self._names)  # noqa: S307 (as above)


@lru_cache(maxsize=64)
def _compiled(source: str, file_name: str) -> tuple[CodeType, CodeType | None]:
    """The cell, and its last line where that is an expression. The steps of a workflow have most
    cells in common. Raises ``SyntaxError``."""
    tree = ast.parse(source, file_name)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return compile(tree, file_name, "exec"), None
    tree.body.pop()
    value = ast.Expression(last.value)
    return compile(tree, file_name, "exec"), compile(value, file_name, "eval")


class _Stream(io.TextIOBase):
    """A standard stream of the cells. Text of one after the other is one output."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = self._left = most
        self._outputs: list[dict[str, Any]] = []

    def begin(self, outputs: list[dict[str, Any]]) -> None:
        """From now on it is another cell's, of which these are the outputs."""
        self._outputs, self._left = outputs, self._most

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, text: str) -> int:
        """Take the text; what is beyond the limit is left out, which is said once."""
        kept = text if len(text) <= self._left else text[: self._left]
        if kept != text and self._left >= 0:
            kept, self._left = f"{kept}\n[more output was left out]\n", -1
        elif self._left >= 0:
            self._left -= len(text)
        else:
            return len(text)
        last = self._outputs[-1] if self._outputs else None
        if last is not None and last.get("name") == self._name:
            last["text"] += kept
        else:
            self._outputs.append({"output_type": "stream", "name": self._name, "text": kept})
        return len(text)


def _result(value: Any, count: int) -> dict[str, Any]:
    if type(value) in _PLAIN:  # as the formatter has it, which looks for much more first
        data, metadata = {"text/plain": repr(value)}, {}
    else:
        data, metadata = _formatter.format(value)  # type: ignore[no-untyped-call]  # IPython has no types
    return {
        "output_type": "execute_result",
        "data": data,
        "metadata": metadata,
        "execution_count": count,
    }


def _error(problem: BaseException) -> dict[str, Any]:
    frames = problem.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") == __name__:
        frames = frames.tb_next
    lines = traceback.format_exception(type(problem), problem, frames or problem.__traceback__)
    return {
        "output_type": "error",
        "ename": type(problem).__name__,
        "evalue": _words(problem),
        "traceback": [line for part in lines for line in part.rstrip("\n").split("\n")],
    }


def _words(problem: BaseException) -> str:
    try:
        return str(problem)
    except Exception:  # of users' classes; in the words of Python's tracebacks
        return "<exception str() failed>"


def _leave(problem: BaseException | None) -> NoReturn:
    """The code has forked, and this is the child, which has come to its end."""
    if problem is not None and not isinstance(problem, SystemExit):
        traceback.print_exception(problem)
    ending.leave_fork(problem)


def is_clean_exit(problem: BaseException) -> bool:
    """As for a program, and as for a kernel: that is no failure."""
    return isinstance(problem, SystemExit) and problem.code in (None, 0)
