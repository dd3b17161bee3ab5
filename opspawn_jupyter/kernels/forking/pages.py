"""The pages of the fork server's memory that each of its kernels writes to, copied all at once.

A fork shares its parent's memory, and a page of it is copied when it is first written to, also
where Python only counts a reference. A kernel writes to the same two or three thousand pages
whatever runs in it, and to be stopped for each of them takes more time than to copy it. So the fork
server has a kernel of each tier live for nobody, learns which pages became its own, and every
kernel that comes after it has those copied in one call.

proc(5) tells whose a page is (``pagemap``); Linux 6.13 or later copies many places at once
(process_madvise(2) with MADV_POPULATE_WRITE). Elsewhere pages are copied one by one, as ever.
"""

from __future__ import annotations

import array
import ctypes
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import IO, NoReturn

_MADV_POPULATE_WRITE = 23
_SYS_PROCESS_MADVISE = 440
#: What one call takes (UIO_MAXIOV).
_MOST_RANGES = 1024
#: Of an entry of pagemap: the page is there, and nobody else has it.
_IS_PRESENT, _IS_OWN = 1 << 63, 1 << 56
_ENTRY_BYTES = 8
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
#: What has not ended by then teaches nothing.
_MAX_SECONDS = 10
#: A larger piece of memory is data, of which a kernel's life takes nothing.
_MOST_BYTES = 1 << 28
_LIBC = ctypes.CDLL(None, use_errno=True)


class Pages:
    """Some of this process's memory, and so of its forks'."""

    def __init__(self, *ranges: tuple[int, int]) -> None:
        """``ranges`` are addresses and lengths in bytes."""
        numbers = [number for one in ranges for number in one]
        self._numbers = (ctypes.c_size_t * len(numbers))(*numbers)
        self._count = len(ranges)

    @property
    def size_bytes(self) -> int:
        """How much it is."""
        return sum(self._numbers[1::2])

    def copy(self) -> bool:
        """Have copies of this process's own, before they are written to. Whether the system can."""
        if not self._count:
            return True
        process = os.pidfd_open(os.getpid())
        try:
            return all(self._copy(process, at) for at in range(0, self._count, _MOST_RANGES))
        finally:
            os.close(process)

    def _copy(self, process: int, at: int) -> bool:
        first = ctypes.byref(self._numbers, at * 2 * ctypes.sizeof(ctypes.c_size_t))
        count = ctypes.c_size_t(min(_MOST_RANGES, self._count - at))
        done = _LIBC.syscall(_SYS_PROCESS_MADVISE, process, first, count, _MADV_POPULATE_WRITE, 0)
        return bool(done > 0)


def can_be_copied() -> bool:
    """Whether the system has a way to do it."""
    some = ctypes.create_string_buffer(1)
    return Pages((ctypes.addressof(some) // _PAGE_BYTES * _PAGE_BYTES, _PAGE_BYTES)).copy()


def learn(
    fork: Callable[[Callable[[], NoReturn], Pages], int], live: Callable[[], object]
) -> Pages:
    """Those that a fork writes to that lives like this; none where that cannot be found out.

    Returns when it has ended. This process waits meanwhile: what it wrote to would be the fork's
    own, too.
    """
    reader, writer = os.pipe()
    pid = fork(lambda: _observe(live, writer), Pages())
    os.close(writer)
    with open(reader, "rb") as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    numbers = iter(array.array("Q", told))
    return Pages(*zip(numbers, numbers))  # noqa: B905  for Python 3.9


def _observe(live: Callable[[], object], writer: int) -> NoReturn:
    """In the fork. What it wrote to before belongs to every fork's life, too."""
    signal.alarm(_MAX_SECONDS)
    try:
        before = list(_memory())
        live()
        told = array.array("Q", [number for one in _written(before) for number in one])
        with open(writer, "wb") as answer:
            answer.write(told)
    except BaseException:  # whatever it was, kernels do without
        traceback.print_exc()
    finally:
        os._exit(0)


def _written(before: list[tuple[int, array.array[int]]]) -> Iterator[tuple[int, int]]:
    """Address and length of what was there and has become this process's own since."""
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for start, entries in before:
            now = _entries(pagemap, start, len(entries))
            own = map(_became_own, entries, now)
            for is_own, numbers in groupby(enumerate(own), key=lambda numbered: numbered[1]):
                if is_own:
                    first, *others = (number for number, _ in numbers)
                    yield start + first * _PAGE_BYTES, (1 + len(others)) * _PAGE_BYTES


def _became_own(before: int, now: int) -> bool:
    return bool(before & _IS_PRESENT and now & _IS_PRESENT and now & _IS_OWN)


def _memory() -> Iterator[tuple[int, array.array[int]]]:
    """What is writable and private of this process's memory: address, and what is told of it."""
    with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for line in maps.read().splitlines():
            addresses, flags, *_ = line.split()
            start, end = (int(address, 16) for address in addresses.split("-"))
            if flags == "rw-p" and end - start < _MOST_BYTES:
                yield start, _entries(pagemap, start, (end - start) // _PAGE_BYTES)


def _entries(pagemap: IO[bytes], start: int, count: int) -> array.array[int]:
    """Of so many pages."""
    pagemap.seek(start // _PAGE_BYTES * _ENTRY_BYTES)
    return array.array("Q", pagemap.read(count * _ENTRY_BYTES))
