"""What a process of the tier ``pool`` says on its line, heard at the line's other end."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import BinaryIO

_DEADLINE_SECONDS = 100.0
_BEGIN = """
import os, socket, sys, threading
from opspawn_jupyter.worker.speaker import Speaker

sys.setswitchinterval(1e-6)
line = socket.socket(fileno=int(sys.argv[1]))
speaker = Speaker(line)
"""
#: It lives until the worker hangs up.
_END = """
line.recv(1)
"""
_WORDS = 2_000
#: Some words are longer than what fits into a line at once.
_TWO_THREADS = f"""
def say(name, how):
    together.wait()
    for number in range({_WORDS}):
        length = 300_000 if number % 20 == 0 else number % 10
        how(b"%s %d %s\\n" % (name, number, name * length))

together = threading.Barrier(2)
soon = threading.Thread(target=say, args=[b"a", speaker.soon])
soon.start()
say(b"b", speaker.now)
soon.join()
speaker.now(b"end\\n")
"""
_FORKED = """
speaker.soon(b"parent\\n")
if os.fork() == 0:
    speaker.now(b"child\\n")
    os._exit(0)
os.wait()
speaker.now(b"end\\n")
"""


@contextmanager
def process(story: str) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """One in which this happens, as it is seen from its worker; it ends well."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", _BEGIN + story + _END, str(theirs.fileno())]
        child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        ours.settimeout(_DEADLINE_SECONDS)
        try:
            with ours.makefile("rb") as lines:
                yield ours, lines
            if ours.fileno() >= 0:
                ours.shutdown(socket.SHUT_WR)
            assert child.wait(_DEADLINE_SECONDS) == 0
        finally:
            child.kill()
            child.wait()


def until_end(lines: BinaryIO) -> list[bytes]:
    """All lines before the one that says so."""
    return list(takewhile(lambda line: line != b"end\n", lines))


def test_what_is_said_soon_is_heard_without_another_word() -> None:
    """A step may go on for hours after it has begun."""
    with process("speaker.soon(b'one\\n')\nspeaker.soon(b'two\\n')") as (_, lines):
        assert [lines.readline(), lines.readline()] == [b"one\n", b"two\n"]


def test_what_is_said_now_comes_after_what_was_unsaid() -> None:
    """A worker that hears of an end before the beginning takes it for another step's."""
    story = "for number in range(100):\n    speaker.soon(b'%d\\n' % number)\nspeaker.now(b'end\\n')"
    with process(story) as (_, lines):
        assert until_end(lines) == [b"%d\n" % number for number in range(100)]


def test_words_of_two_threads_are_neither_mixed_nor_lost() -> None:
    """Threads of a step tell of it while the one that runs it does; what comes is whole, once, and
    in the order in which each thread said it."""
    with process(_TWO_THREADS) as (_, lines):
        heard = [line.split() for line in until_end(lines)]
    for name in (b"a", b"b"):
        own = [words for words in heard if words[0] == name]
        assert [int(words[1]) for words in own] == list(range(_WORDS))
        assert all(set(b"".join(words[2:])) <= set(name) for words in own)
    assert len(heard) == 2 * _WORDS


def test_a_fork_of_the_process_leaves_to_it_what_it_has_not_said() -> None:
    """Code of a step may fork; a word that came twice would count as another step's."""
    with process(_FORKED) as (_, lines):
        assert sorted(until_end(lines)) == [b"child\n", b"parent\n"]


def test_a_worker_that_is_gone_does_not_fail_the_step() -> None:
    """The process ends by itself then; what it has to say stands in its journal."""
    with process("line.recv(1)\nspeaker.now(b'nobody hears it\\n')") as (worker, lines):
        lines.close()
        worker.close()
