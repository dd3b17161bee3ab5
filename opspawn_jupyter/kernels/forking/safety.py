"""Whether this process may fork: what does not survive a fork must not exist before it.

Threads are not copied, their locks are; event loops and zmq contexts would be shared by all
kernels; so would be a database connection. None exists if only well-behaved modules were
imported, and a preload that behaves otherwise is found here before it does harm.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

#: Objects that tie to one process, by the module and the name of their class.
_TIED = (
    ("zmq", "Context"),
    ("asyncio", "AbstractEventLoop"),
    ("sqlite3", "Connection"),
)


#: Threads of libraries that see to forks themselves, as jemalloc does, which pyarrow brings.
_FORK_SAFE_THREADS = frozenset(["jemalloc_bg_thd"])


def hazard() -> str | None:
    """Why forking would be unsafe at this moment."""
    found = running_threads()
    if found is not None:
        return found
    if any(target == "anon_inode:[eventpoll]" for target in _open_files()):
        return "an event loop is open"
    return None


def running_threads() -> str | None:
    """The same, as far as it can change of itself; cheap enough to ask before each fork."""
    threads = set(_other_threads()) - _FORK_SAFE_THREADS
    return f"threads run: {', '.join(sorted(threads))}" if threads else None


def tied_object() -> str | None:
    """Name of a class whose instances must not be shared, if there is one in memory.

    Looks at every object, so it is asked once, after the preloads.
    """
    kinds = tuple(
        getattr(sys.modules[module], name) for module, name in _TIED if module in sys.modules
    )
    for thing in gc.get_objects():
        if issubclass(type(thing), kinds):  # not isinstance: proxies answer for their targets
            return type(thing).__qualname__
    return None


def retire_threads() -> None:
    """Let libraries stop the threads that they do not want to have in a fork.

    OpenBLAS, which numpy brings, starts a pool when it is imported, ends it before each fork, and
    starts it again when there is something to compute: one fork that does nothing is enough.
    """
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _other_threads() -> Iterator[str]:
    directory = "/proc/self/task"
    for number in os.listdir(directory):
        if number != str(os.getpid()):
            with open(f"{directory}/{number}/comm") as name:
                yield name.read().strip()


def _open_files() -> Iterator[str]:
    directory = "/proc/self/fd"
    for name in os.listdir(directory):
        try:
            yield os.readlink(f"{directory}/{name}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
