"""What a fork writes to is learned from one that did, and copied for the next at once."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource

import pytest

from opspawn_jupyter.kernels.forking import pages

PAGE = mmap.PAGESIZE
COUNT = 64
WRITTEN = (3, 4, 40)

needs_linux_6_13 = pytest.mark.skipif(
    not pages.can_be_copied(), reason="this system copies page by page"
)


@pytest.fixture
def memory():
    """Some pages that are there already."""
    with mmap.mmap(-1, COUNT * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory[:] = b"x" * len(memory)
        yield memory


def fork(live, _memory=None):
    pid = os.fork()
    if pid == 0:
        live()
    return pid


def write(memory):
    for number in WRITTEN:
        memory[number * PAGE] = 0


def address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def faults_of_writing(memory, known):
    """In a fork that copies what is known, and then writes to every page."""
    reader, writer = os.pipe()

    def live():
        try:
            known.copy()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for number in range(COUNT):
                memory[number * PAGE] = 0
            after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            os.write(writer, b"%d" % (after - before))
        finally:
            os._exit(0)

    pid = fork(live)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        return int(answer.read())


def test_pages_that_a_fork_wrote_to_are_learned_and_no_others(memory):
    """What is copied and not used would be memory for nothing, in each kernel."""
    start = address(memory)
    learned = pages.learn(fork, lambda: write(memory))
    own = [number - start for number in learned._numbers[::2]]
    sizes = learned._numbers[1::2]
    found = {at // PAGE: size // PAGE for at, size in zip(own, sizes, strict=True)}
    assert {at: size for at, size in found.items() if 0 <= at < COUNT} == {3: 2, 40: 1}


@needs_linux_6_13
def test_a_fork_that_has_them_copied_writes_without_a_fault(memory):
    """That is what it is for."""
    known = pages.Pages((address(memory), len(memory)))
    assert faults_of_writing(memory, pages.Pages()) >= COUNT
    assert faults_of_writing(memory, known) < COUNT // 2


@needs_linux_6_13
def test_more_ranges_than_one_call_takes_are_copied():
    """A kernel of many libraries has more."""
    with mmap.mmap(-1, 2100 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = address(memory)
        known = pages.Pages(*((start + number * PAGE, PAGE) for number in range(0, 2100, 2)))
        assert known.copy()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for number in range(0, 2100, 2):
            memory[number * PAGE] = 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100


def test_a_life_that_goes_wrong_teaches_nothing(capfd):
    """Kernels have their pages copied one by one then, as ever."""

    def live():
        raise ZeroDivisionError

    assert pages.learn(fork, live).size_bytes == 0
    assert "ZeroDivisionError" in capfd.readouterr().err
