"""The same notebooks through all tiers: what comes of them is the same."""

from __future__ import annotations

import gzip
import json
import re
from itertools import pairwise
from typing import Any

import nbformat
import pytest

from opspawn_jupyter.model.states import EventType
from tests.integration.test_runner_notebook import (
    DAEMON,
    Ran,
    Run,
    cancel_in,
    fork_servers,
    run,
    wait_gone,
)

__all__ = ["fork_servers", "run"]  # the fixtures

TIERS = ("kernel", "direct", "cold")
#: To these cells are sent ahead.
FORKED = ("kernel", "direct")
NOTEBOOKS: dict[str, tuple[Any, ...]] = {
    "everything that is put out": (
        ("x = 1", "parameters"),
        "print('out'); import sys; print('err', file=sys.stderr); x + 1",
        "!echo from a shell",
        "from IPython.display import HTML, display, clear_output",
        "handle = display(HTML('<b>1</b>'), display_id='here')",
        "handle.update(HTML('<b>2</b>')); print('old'); clear_output(); print('new')",
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        "import asyncio\nawait asyncio.sleep(0)\n'awaited'",
        "from ipywidgets import IntSlider; slider = IntSlider(value=3); slider.value",
        "import multiprocessing as mp; forking = mp.get_context('fork'); import warnings",
        "warnings.simplefilter('ignore')  # Python 3.12 warns of forks beside threads",
        "child = forking.Process(target=print, args=('forked',)); child.start(); child.join()",
        "In[2], Out[2], _2, get_ipython().execution_count",
        "print('x' * 300_000)",
        "warnings.simplefilter('always'); warnings.warn('careful')",
        "import os; os.path.basename(os.getcwd()), os.environ['OPSPAWN_TASK_ID']",
    ),
    "an error": ("1", "def f():\n    return 1 / 0\nf()", "3"),
    "an error that is wanted": (("1 / 0", "raises-exception"), "2"),
    "no syntax": ("def", "2"),
    "a question to nobody": ("input('who?')",),
    "a clean exit": ("print('bye'); exit()",),
    "an answer of the client's, and a task": (
        "from ipywidgets import Output; out = Output()",
        "with out: print('seen')",
        "out.outputs",
        "import asyncio; later = asyncio.get_running_loop().create_task(asyncio.sleep(0))",
        "later.done()",
    ),
    "long cells": tuple(f"print({number}, len('{'x' * 9000}'))" for number in range(6)),
}


def told(ran: Ran) -> Any:
    """What came of it, without times, process ids and what differs from run to run by nature."""
    document: Any = json.loads(json.dumps(ran.notebook))
    document["metadata"]["papermill"] = {
        key: document["metadata"]["papermill"].get(key) for key in ("exception", "parameters")
    }
    document["metadata"].pop("widgets", None)  # ids of widgets are random
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown":
            cell.pop("id")  # papermill's marks of an error have random ones
        for name in ("start_time", "end_time", "duration"):
            cell["metadata"].get("papermill", {}).pop(name, None)
        cell["metadata"].get("opspawn", {}).pop("duration_seconds", None)
        cell["metadata"].pop("execution", None)
        cell["outputs"] = sorted(cell.get("outputs", []), key=lambda out: out.get("name", ""))
    text = re.sub(r"ipykernel_\d+", "ipykernel_N", json.dumps(document, indent=1))
    error = ran.outcome.data.get("error", {})
    return text, ran.outcome.type, error.get("name"), error.get("cell_index"), error.get("signal")


PAST_PYTHON = (
    "import subprocess; _ = subprocess.run(['echo', 'from a child'])",
    "import os; _ = os.write(1, b'at the descriptor\\n')",
)


def test_what_goes_past_python_comes_out_alike(run: Run, tmp_path: Any) -> None:
    """Not of a cold kernel: ipykernel lets these pass where it takes itself for tested."""
    ran = []
    for tier in TIERS[:2]:
        one = run(*PAST_PYTHON, tier=tier)
        ran.append([one.text(0), one.text(1)])
        one.directory.path.rename(tmp_path / f"{tier} was here")

    assert ran == [["from a child\n", "at the descriptor\n"]] * 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_comes_out_alike_in_all_tiers(run: Run, name: str, tmp_path: Any) -> None:
    """A tier is a matter of speed, not of what one gets."""
    ran = {}
    for tier in TIERS:
        one = run(*NOTEBOOKS[name], tier=tier)
        assert one.of(EventType.KERNEL_STARTED)[0]["tier"] == tier
        nbformat.validate(one.notebook)
        ran[tier] = told(one)
        one.directory.path.rename(tmp_path / f"{tier} was here")

    assert ran["direct"] == ran["kernel"]
    assert ran["cold"] == ran["kernel"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_kernel_that_dies_is_a_crash_with_its_signal(run: Run, tier: str) -> None:
    """Whoever watches over it."""
    ran = run("1", "import os; os.kill(os.getpid(), 9)", "3", tier=tier)

    assert ran.outcome.type is EventType.CRASHED
    assert ran.error["signal"] == "SIGKILL"
    assert ran.written == ["success", "crashed", "not_run"]


def test_a_direct_kernel_is_interrupted_and_leaves_nothing(run: Run) -> None:
    """The guarantees of a cancel hold without sockets as well."""
    code = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"
    ran = run(DAEMON, code, "3", tier="direct", during=cancel_in(1))

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.written == ["success", "cancelled", "not_run"]
    wait_gone(int(ran.text(0)))


@pytest.mark.parametrize("tier", FORKED)
@pytest.mark.parametrize(("end", "code"), [("pass", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)])
def test_a_fork_that_comes_back_from_a_cell_is_no_second_kernel(
    run: Run, tier: str, end: str, code: int
) -> None:
    """It read requests that were meant for the kernel, and the run was called crashed."""
    forks = f"import os\npid = os.fork()\nif not pid:\n    {end}"
    waits = "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    ran = run(forks, waits, "3", tier=tier)

    assert ran.outcome.type is EventType.SUCCEEDED
    assert ran.written == ["success"] * 3
    # What IPython says of the fork's end may come beside it.
    (result,) = (one for one in ran.code[1]["outputs"] if "data" in one)
    assert result["data"]["text/plain"] == str(code)


@pytest.mark.parametrize("tier", FORKED)
def test_a_limit_of_time_that_a_cell_has_for_itself_spoils_no_output(run: Run, tier: str) -> None:
    """It left half a message on the kernel's line, and the run waited for the rest for ever."""
    cell = """
import signal
def end(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, end)
try:
    with get_ipython().kernel.line._lock:
        signal.raise_signal(signal.SIGALRM)
        print("all of it")
except TimeoutError:
    print("no more")
"""
    ran = run(cell, tier=tier)

    assert ran.outcome.type is EventType.SUCCEEDED
    assert ran.text(0) == "all of it\nno more\n"


@pytest.mark.parametrize("tier", FORKED)
def test_what_was_sent_ahead_does_not_run_after_a_cancel(run: Run, tier: str) -> None:
    """A cell may take the interrupt for itself, and end well."""
    code = "import time\ntry:\n    print('asleep', flush=True); time.sleep(600)\n"
    ran = run("1", code + "except KeyboardInterrupt:\n    pass", "open('ran', 'w').close()",
              tier=tier, during=cancel_in(1))  # fmt: skip

    assert ran.outcome.type is EventType.CANCELLED
    assert ran.written[2] != "success"
    assert not (ran.directory.path.parent.parent / "ran").exists()


@pytest.mark.parametrize("tier", FORKED)
def test_what_was_sent_ahead_does_not_run_after_a_failure(run: Run, tier: str) -> None:
    """Also where the kernel is done with the failure before its client has heard of it."""
    cells = [f"open('ran {number}', 'w').close()" for number in range(8)]
    ran = run(*cells[:3], "1 / 0", *cells[3:], tier=tier)

    assert ran.outcome.type is EventType.FAILED
    assert ran.written == ["success"] * 3 + ["failed"] + ["not_run"] * 5
    assert len(list(ran.directory.path.parent.parent.glob("ran *"))) == 3


@pytest.mark.parametrize("tier", FORKED)
def test_cells_that_are_sent_ahead_have_the_times_that_the_kernel_tells(
    run: Run, tier: str
) -> None:
    """The runner hears of several at once."""
    ran = run("1", "import time; time.sleep(0.3)", "2", tier=tier)
    cells = [cell["metadata"] for cell in ran.notebook["cells"]]

    assert cells[1]["opspawn"]["duration_seconds"] >= 0.3
    for before, after in pairwise(cells):
        assert before["papermill"]["start_time"] < after["papermill"]["start_time"]
        assert before["execution"]["shell.execute_reply"] < after["execution"]["iopub.status.busy"]


def test_exit_handlers_run_in_a_direct_kernel(run: Run) -> None:
    """Files are written at the end by more libraries than one thinks."""
    ran = run("import atexit; atexit.register(print, 'the end', file=open('end', 'w'));",
              tier="direct")  # fmt: skip

    assert ran.outcome.type is EventType.SUCCEEDED
    assert (ran.directory.path.parent.parent / "end").read_text() == "the end\n"


UNCLOSED = (
    "import gzip, sys",
    "text = open('text', 'w'); text.write('in a name');",
    "class Holder: pass\nhidden = Holder(); hidden.self = hidden",
    "hidden.file = open('hidden', 'w'); hidden.file.write('in a circle');",
    "packed = Holder(); packed.self = packed",
    "packed.file = gzip.open('packed', 'wt'); packed.file.write('with an end');",
    "sys.of_a_module = open('kept', 'w'); sys.of_a_module.write('by a module');",
)


@pytest.mark.parametrize("tier", FORKED)
def test_what_nobody_closed_is_whole_at_the_end(run: Run, tier: str) -> None:
    """As with a script, whose interpreter closes files in the end. Cold kernels do not always get
    there: one of ipykernel's in ten waits for a thread of its own until it is terminated."""
    ran = run(*UNCLOSED, tier=tier)
    place = ran.directory.path.parent.parent

    assert ran.outcome.type is EventType.SUCCEEDED
    assert (place / "text").read_text() == "in a name"
    assert (place / "hidden").read_text() == "in a circle"
    assert gzip.decompress((place / "packed").read_bytes()) == b"with an end"
    assert (place / "kept").read_text() == "by a module"


def test_what_cannot_be_run_directly_says_so(run: Run) -> None:
    """It is refused at submission; a worker that meets it all the same runs nothing else."""
    ran = run("echo never", kernel="bash", language="bash", tier="direct")

    assert ran.outcome.type is EventType.CRASHED
    assert "cannot be run directly" in ran.error["message"]
    assert "--tier kernel" in ran.error["message"]
