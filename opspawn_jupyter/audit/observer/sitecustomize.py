"""Writes down what a Python process opens, starts and calls (PEP 578), for an audit.

Found by its name: an audited kernel has this directory first on PYTHONPATH. It must never raise
into the code that it watches, may import nothing heavy, and says once what it has seen. Not seen:
files that native libraries open by themselves.
"""

import _thread
import json
import os
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOST_SAID = 20_000
#: Events that change files, with the places of the paths among their arguments.
_CHANGES = {
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,),
    "os.truncate": (0,), "os.symlink": (1,), "os.link": (1,), "shutil.rmtree": (0,),
    "os.chmod": (0,), "os.utime": (0,),
}  # fmt: skip


class _Observer:
    def __init__(self, descriptor: int, protected: str, allowed: str) -> None:
        self._descriptor = descriptor
        self._protected = protected
        self._allowed = allowed
        self._said: set[tuple[str, str]] = set()
        self._thread = _thread._local()  # noqa: SLF001  # what threading.local is

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if getattr(self._thread, "is_busy", False):
            return
        self._thread.is_busy = True
        try:
            is_forbidden = self._look(event, arguments)
        except Exception:  # whatever the event carried, the watched code goes on
            is_forbidden = False
        finally:
            self._thread.is_busy = False
        if is_forbidden:
            raise PermissionError(f"an audit may not change the original in {self._protected}")

    def _look(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """True where the original directory would be changed."""
        if event == "open":
            return self._opens(*arguments)
        if event in _CHANGES:
            forbidden = [self._changes(_full(arguments[place])) for place in _CHANGES[event]]
            return any(forbidden)
        if event == "subprocess.Popen":
            words = [arguments[0], *list(arguments[1] or ())[1:]]
            self._say("process", " ".join(map(os.fsdecode, words)))
        elif event in ("os.system", "os.exec", "os.posix_spawn"):
            self._say("process", os.fsdecode(arguments[0]))
        elif event == "socket.getaddrinfo":
            self._say("network", f"{arguments[0]}:{arguments[1]}")
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            self._say("network", f"{arguments[1][0]}:{arguments[1][1]}")
        elif event == "sqlite3.connect":
            self._say("read", _full(arguments[0]))
        return False

    def _opens(self, path: Any, mode: Any, flags: int) -> bool:
        where = _full(path)
        if not where:
            return False
        by_mode = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if by_mode or (mode is None and flags & _WRITING):
            return self._changes(where)
        self._say("read", where)
        return False

    def _changes(self, path: str) -> bool:
        self._say("write", path)
        return _within(path, self._protected) and not _within(path, self._allowed)

    def _say(self, kind: str, what: str) -> None:
        if (kind, what) in self._said or len(self._said) > _MOST_SAID:
            return
        self._said.add((kind, what))
        line = json.dumps([kind, what]) + "\n"
        os.write(self._descriptor, line.encode("utf-8", "backslashreplace"))


def _full(path: Any) -> str:
    if isinstance(path, int) or path is None:
        return ""
    return os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))


def _within(path: str, top: str) -> bool:
    return bool(top) and (path == top or path.startswith(top + os.sep))


def _begin(trace: str) -> None:
    try:
        descriptor = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return  # the audit finds no trace, and says that nothing could be observed
    protected = os.environ.get("OPSPAWN_AUDIT_PROTECTED", "")
    allowed = os.environ.get("OPSPAWN_AUDIT_ALLOWED", "")
    sys.addaudithook(_Observer(descriptor, protected, allowed).hook)


def _load_other() -> None:
    """Whoever had a sitecustomize of their own gets it all the same."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    own = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError:
        if own is not None:
            sys.modules["sitecustomize"] = own


if _trace := os.environ.get("OPSPAWN_AUDIT_TRACE"):
    _begin(_trace)
_load_other()
