"""Tests of the heap of the C library without gaps."""

import ctypes
import subprocess
import sys

import pytest

from opspawn_jupyter.kernels.forking import heap

needs_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later"
)

SCRIPT = """
import ctypes
from opspawn_jupyter.kernels.forking import heap

libc = heap._LIBC
heap._declare()
some = [libc.malloc(size) for size in (40, 200, 1500, 30000) for _ in range(200)]
for place in some[::2]:
    libc.free(place)
taken = heap.close_gaps()
assert taken > 100 * 30000, taken
end = max(some)
assert all(libc.malloc(size) > end for size in (40, 200, 1500, 30000) for _ in range(50))
assert heap.close_gaps() < 100 * 1500
"""


@needs_glibc
def test_what_is_asked_for_then_comes_from_the_end():
    """A fork that is served from gaps writes to a page of its parent's for each of them."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)


def test_a_c_library_that_tells_nothing_is_left_alone(monkeypatch):
    """There forks go on as ever."""
    monkeypatch.setattr(heap, "_LIBC", object())
    assert heap.close_gaps() == 0
