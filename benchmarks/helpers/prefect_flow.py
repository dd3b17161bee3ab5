"""Runs a flow of Prefect in this process, once for each line on standard input.

    python prefect_flow.py chain NOTEBOOK STEPS|fan - STEPS

``chain``: each task runs the notebook with papermill, after the one before. ``fan``: tasks that do
nothing, all submitted at once. The figure is seconds for the whole flow.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

from papermill import execute_notebook
from prefect import flow, task


@task
def run_notebook(source: str, target: str) -> str:
    """One notebook, as it is done with Prefect."""
    execute_notebook(source, target, progress_bar=False)
    return target


@task
def nothing(number: int) -> int:
    """What a step costs that does nothing."""
    return number


@flow
def chain(source: str, steps: int) -> None:
    """One after the other."""
    with tempfile.TemporaryDirectory() as place:
        for number in range(steps):
            run_notebook(source, f"{place}/{number}.ipynb")


@flow
def fan(steps: int) -> None:
    """All at once."""
    for future in [nothing.submit(number) for number in range(steps)]:
        future.result()


def main() -> None:
    """Answer each line with a figure."""
    what, source, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed is no answer
    for _ in sys.stdin:
        began = time.perf_counter()
        chain(source, steps) if what == "chain" else fan(steps)
        answers.write(f"figure {json.dumps(time.perf_counter() - began)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
