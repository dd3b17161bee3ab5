"""The C library's heap without gaps, so that what a fork asks for lies together.

What imports gave back leaves gaps all over the heap, and a fork's first requests would be served
from them: each in another page of the fork server's, which is copied for it. Where no gap is left
they come from the end of the heap, one after the other.
"""

from __future__ import annotations

import ctypes

#: The largest gap that is looked for, which is less than what gets memory of its own, and the
#: smallest that there is.
_LARGEST_BYTES, _SMALLEST_BYTES = 1 << 16, 24
#: Sizes below are tried one by one.
_SMALL_BYTES, _STEP_BYTES = 2048, 16
#: No more than this is ever taken.
_MOST_BYTES = 1 << 24
_LIBC = ctypes.CDLL(None)


class _State(ctypes.Structure):
    """What mallinfo2(3) tells, all of it in bytes or pieces."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def close_gaps() -> int:
    """Take all memory that lies between what is in use, for good; how many bytes that is. None
    where the C library does not tell how its heap looks (glibc does since 2.33)."""
    if not hasattr(_LIBC, "mallinfo2"):
        return 0
    _declare()
    end = _LIBC.sbrk(0) - _LIBC.mallinfo2().keepcost
    taken, size = 0, _LARGEST_BYTES
    while size >= _SMALLEST_BYTES and taken < _MOST_BYTES:
        place = _LIBC.malloc(size)
        if place is not None and place < end:
            taken += size
            continue
        _LIBC.free(place)
        size -= _STEP_BYTES if size <= _SMALL_BYTES else size // 32
    return taken


def _declare() -> None:
    _LIBC.mallinfo2.restype = _State
    _LIBC.sbrk.restype, _LIBC.sbrk.argtypes = ctypes.c_size_t, [ctypes.c_ssize_t]
    _LIBC.malloc.restype, _LIBC.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    _LIBC.free.argtypes = [ctypes.c_void_p]
