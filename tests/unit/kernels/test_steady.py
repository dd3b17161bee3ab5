"""What is begun under a steady lock is ended, whatever interrupts come."""

from __future__ import annotations

import signal
import threading

import pytest

from opspawn_jupyter.kernels.forking.steady import SteadyLock


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
