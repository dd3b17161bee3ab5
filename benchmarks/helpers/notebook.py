"""Runs a notebook in this process, once for each line on standard input.

    python notebook.py papermill|opspawn|nbclient|ploomber NOTEBOOK seconds|bytes

Needs nothing of this project save for ``opspawn``. ``bytes``: what this process wrote, files and
pipes together.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def papermill(source: str, target: str) -> None:
    """As ``papermill.execute_notebook`` does it."""
    from papermill import execute_notebook

    execute_notebook(source, target, progress_bar=False)


def opspawn(source: str, target: str) -> None:
    """The same, with our engine and forked kernels."""
    from papermill import execute_notebook

    execute_notebook(source, target, progress_bar=False, engine_name="opspawn")


def nbclient(source: str, target: str) -> None:
    """As ``jupyter execute`` does it."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook).execute()
    nbformat.write(notebook, target)


def ploomber(source: str, target: str) -> None:
    """In this very process, without a kernel."""
    import nbformat
    from ploomber_engine.ipython import PloomberClient

    notebook = nbformat.read(source, as_version=4)
    PloomberClient(notebook).execute()
    nbformat.write(notebook, target)


def main() -> None:
    """Answer each line with a figure."""
    ways: dict[str, Callable[[str, str], None]] = {
        "papermill": papermill,
        "opspawn": opspawn,
        "nbclient": nbclient,
        "ploomber": ploomber,
    }
    way, source, unit = ways[sys.argv[1]], sys.argv[2], sys.argv[3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what engines print is no answer
    for _ in sys.stdin:
        with tempfile.TemporaryDirectory() as place:
            written, began = _written(), time.perf_counter()
            way(source, f"{place}/out.ipynb")
            seconds = time.perf_counter() - began
            figure = seconds if unit == "seconds" else _written() - written
        answers.write(f"figure {json.dumps(figure)}\n")
        answers.flush()


def _written() -> int:
    with Path("/proc/self/io").open() as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("wchar"))


if __name__ == "__main__":
    main()
