"""What is begun under a steady lock is ended, whatever interrupts come."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from opspawn_jupyter.kernels.forking.steady import SteadyLock, defer


@pytest.fixture
def lock() -> SteadyLock:
    return SteadyLock()


def test_an_interrupt_follows_at_the_end(lock):
    """Half a message on a line would spoil the next."""
    done = []

    def write() -> None:
        with lock:
            signal.raise_signal(signal.SIGINT)
            with lock:
                signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        write()

    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with lock:  # it is free, and the interrupt is over
        pass


def test_the_handler_of_the_moment_hears_of_it(lock):
    """A kernel has another while a cell waits for something."""
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("interrupt"))
    try:
        with lock:
            signal.raise_signal(signal.SIGINT)
            assert heard == []
    finally:
        signal.signal(signal.SIGINT, before)

    assert heard == ["interrupt"]


def test_threads_wait_for_each_other(lock):
    """Signals are no matter of theirs."""
    told = []

    def write() -> None:
        with lock:
            told.append("thread")

    thread = threading.Thread(target=write)
    with lock:
        thread.start()
        told.append("main")
    thread.join()

    assert told == ["main", "thread"]


@pytest.fixture
def deferred() -> Iterator[None]:
    """As in a kernel."""
    usual, alarm = (signal.signal, signal.getsignal), signal.getsignal(signal.SIGALRM)
    defer()
    yield
    signal.signal, signal.getsignal = usual
    signal.signal(signal.SIGALRM, alarm)


class TimeIsUp(Exception):
    """As users' limits of time raise it."""


@pytest.mark.usefixtures("deferred")
def test_what_a_handler_of_the_users_raises_follows_at_the_end_of_all(lock):
    """A limit of time that is over while something is put out left half a message on the line."""

    def end(*_: object) -> None:
        raise TimeIsUp

    signal.signal(signal.SIGALRM, end)
    done = []

    def write() -> None:
        with lock, SteadyLock():
            signal.raise_signal(signal.SIGALRM)
            signal.raise_signal(signal.SIGALRM)
            done.append("all of it")
        done.append("no more")

    with pytest.raises(TimeIsUp):
        write()
    with lock:  # it was told once, and the lock is free
        pass
    assert done == ["all of it"]
    with pytest.raises(TimeIsUp):
        signal.raise_signal(signal.SIGALRM)


@pytest.mark.usefixtures("deferred")
def test_a_handler_that_writes_itself_does_so_after_what_is_being_written(lock):
    """Python's locks let their holder in, wherever it is."""
    told = []

    def write(*words: object) -> None:
        with lock:
            told.append(words[0])

    signal.signal(signal.SIGALRM, write)
    with lock:
        signal.raise_signal(signal.SIGALRM)
        told.append("first")

    assert told == ["first", signal.SIGALRM]


@pytest.mark.usefixtures("deferred")
def test_handlers_are_given_back_as_they_were_set(lock):
    """Whoever sets one puts the last one back."""
    before = signal.signal(signal.SIGALRM, print)

    assert signal.getsignal(signal.SIGALRM) is print
    assert signal.signal(signal.SIGALRM, before) is print
    assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: beside threads
@pytest.mark.usefixtures("deferred")
def test_a_fork_that_a_thread_makes_meanwhile_has_its_signals_at_once(lock):
    """Nobody is left there who would let go of the lock."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    statuses = []

    def fork() -> None:
        pid = os.fork()
        if not pid:
            signal.raise_signal(signal.SIGALRM)
            os._exit(4)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    thread = threading.Thread(target=fork)
    with lock:
        thread.start()
        thread.join()

    assert statuses == [3]
