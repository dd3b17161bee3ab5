"""Cells that put out more than any memory, file or browser holds, in real kernels."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nbformat
import psutil
import pytest

from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import OutputLimits
from tests.integration.test_runner_notebook import Ran, Run, fork_servers, run

__all__ = ["fork_servers", "run"]  # the fixtures

MEGABYTE = 1 << 20
#: The long form prints 1 GB and displays 100,000 times.
LONG = bool(os.environ.get("OPSPAWN_CHAOS_LONG"))
LINES, DISPLAYS = (1_000_000, 100_000) if LONG else (200_000, 30_000)
SMALL = OutputLimits(cell_bytes=MEGABYTE, notebook_bytes=3 * MEGABYTE, cell_outputs=100)


class Peak:
    """The most memory that a runner process has had."""

    megabytes = 0.0


@contextmanager
def runner_memory() -> Iterator[Peak]:
    """Watches the processes below this one that are not kernels."""
    peak, is_over = Peak(), threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            for process in psutil.Process().children(recursive=True):
                peak.megabytes = max(peak.megabytes, _megabytes(process))
            time.sleep(0.02)  # memory tells nobody

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        is_over.set()
        watching.join()


def _megabytes(process: psutil.Process) -> float:
    try:
        if any("ipykernel" in part for part in process.cmdline()):
            return 0.0
        return float(process.memory_info().rss) / MEGABYTE
    except psutil.Error:
        return 0.0


def mark(ran: Ran, place: int) -> Any:
    """The cell's note on what is missing."""
    found = [out for out in ran.code[place].outputs if "opspawn" in out.get("metadata", {})]
    assert len(found) == 1
    return found[0]


def kept_bytes(ran: Ran, place: int) -> int:
    return len(ran.text(place))


def test_a_cell_that_prints_too_much_is_cut_off_and_says_so(run: Run) -> None:
    """The reader sees the beginning, where it was cut, and how much is missing; the cells after
    it have their own room."""
    flood = "line = 'x' * 99\nfor _ in range(50_000):\n    print(line)\n'the result'"
    ran = run(flood, "print('after')", output_limits=SMALL)

    assert ran.outcome.type is EventType.SUCCEEDED
    assert kept_bytes(ran, 0) == pytest.approx(MEGABYTE, rel=0.01)
    missing = mark(ran, 0).metadata.opspawn
    assert missing["left_out_bytes"] == pytest.approx(5_000_000 - MEGABYTE, rel=0.05)
    assert "left out" in mark(ran, 0).data["text/plain"]
    assert ran.code[0].outputs[-1].data["text/plain"] == "'the result'"
    assert ran.text(1) == "after\n"
    nbformat.validate(ran.notebook)


def test_the_mark_comes_to_listeners_and_is_kept_current(run: Run) -> None:
    """A panel shows it at once, and in the end with the final figures."""
    ran = run("for _ in range(300):\n    display(1)", output_limits=SMALL)

    shown = [data for data in ran.of(EventType.CELL_OUTPUT) if "opspawn" in str(data["output"])]
    assert shown[0]["display_id"] == shown[-1]["update"] == "opspawn-left-out-0"
    assert shown[-1]["output"]["metadata"]["opspawn"]["left_out_outputs"] == 200
    assert len(ran.code[0].outputs) == 101


def test_a_notebook_has_a_limit_of_its_own(run: Run) -> None:
    """A thousand cells below their limit add up."""
    ran = run(*["print('y' * 900_000)"] * 5, output_limits=SMALL)

    kept = [kept_bytes(ran, place) for place in range(5)]
    assert kept[:3] == [900_001] * 3
    assert sum(kept) == pytest.approx(3 * MEGABYTE, rel=0.01)
    assert mark(ran, 4)


def test_a_cell_that_clears_its_output_never_runs_into_the_limit(run: Run) -> None:
    """A live picture is redrawn for hours, by clearing or by updating."""
    clearing = (
        "from IPython.display import clear_output\n"
        "for n in range(30):\n    clear_output(wait=True)\n    print(str(n) * 100_000, flush=True)"
    )
    updating = (
        "shown = display({'text/plain': ''}, raw=True, display_id=True)\n"
        "for n in range(30):\n    shown.update({'text/plain': f'{n:02}' * 50_000}, raw=True)"
    )
    ran = run(clearing, updating, output_limits=SMALL)

    assert ran.text(0).startswith("2929")
    assert ran.code[1].outputs[0].data["text/plain"].startswith("2929")
    assert not [
        out for cell in ran.code for out in cell.outputs if "opspawn" in out.get("metadata", {})
    ]


def test_the_error_of_a_noisy_cell_is_kept(run: Run) -> None:
    """It is what everybody will look for."""
    ran = run("print('x' * 5_000_000)\n1 / 0", output_limits=SMALL)

    assert ran.outcome.type is EventType.FAILED
    assert ran.code[0].outputs[-1].ename == "ZeroDivisionError"
    assert mark(ran, 0)


def test_the_first_display_of_an_id_tells_it(run: Run) -> None:
    """Whoever shows outputs elsewhere can put updates in its place."""
    ran = run("shown = display('one', display_id='d')\nshown.update('two')")

    first, second = ran.of(EventType.CELL_OUTPUT)
    assert first["display_id"] == second["update"] == "d"


def test_binary_garbage_makes_a_valid_notebook(run: Run) -> None:
    """Whatever bytes a cell's subprocess or C code writes."""
    garbage = "import os\nfor _ in range(20):\n    os.write(1, os.urandom(100_000))"
    lone = "print('\\ud800 half of a pair', '\\x00\\x1b[31m')"
    ran = run(garbage, lone, output_limits=SMALL)

    assert ran.outcome.type is EventType.SUCCEEDED
    nbformat.validate(ran.notebook)


def test_a_cell_that_never_flushes_loses_nothing(run: Run) -> None:
    """Without a line's end, and with an error in the middle of it."""
    ran = run("import sys\nsys.stdout.write('a' * 10)", "sys.stdout.write('b')\n1 / 0")

    assert ran.text(0) == "aaaaaaaaaa"
    assert ran.text(1) == "b"


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(f"line = 'x' * 999\nfor _ in range({LINES}):\n    print(line)", id="lines"),
        pytest.param("print('z' * 200_000_000)", id="one text"),
        pytest.param(
            "display({'text/plain': 'big', 'image/png': 'A' * 200_000_000}, raw=True)", id="display"
        ),
        pytest.param(
            f"for n in range({DISPLAYS}):\n    display({{'text/plain': str(n)}}, raw=True)",
            id="displays",
        ),
    ],
)
def test_memory_stays_bounded(run: Run, source: str) -> None:
    """A runner may hold one message of the kernel's, as it came, and never several times that."""
    with runner_memory() as peak:
        ran = run(source)

    assert ran.outcome.type is EventType.SUCCEEDED
    assert mark(ran, 0).metadata.opspawn["left_out_bytes"] > 1_000_000
    assert ran.directory.output.stat().st_size < 25 * MEGABYTE
    assert ran.directory.log.stat().st_size < 25 * MEGABYTE
    nbformat.validate(ran.notebook)
    print(f"peak {peak.megabytes:.0f} MB in {ran.seconds:.1f} s")
    assert peak.megabytes < 400
