"""Others, each in an environment of its own that is made here, and processes in them that measure
when they are told to."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Way

PLACE = Path(".bench")
HELPERS = Path(__file__).with_name("helpers")
#: What each peer needs, by the name of its environment.
PACKAGES = {
    "papermill": ("papermill", "ipykernel", "psutil"),
    "nbclient": ("nbclient", "ipykernel", "psutil"),
    "ploomber": ("ploomber-engine", "ipykernel", "psutil", "setuptools<81"),
    "pipeline": ("ploomber", "ipykernel", "setuptools<81"),
    "prefect": ("prefect", "papermill", "ipykernel"),
    "scheduler": ("jupyter-server", "jupyter-scheduler", "ipykernel"),
    "fastmcp": ("fastmcp",),
    "postgres": ("psycopg[binary]",),
}


def python(name: str) -> Path:
    """The interpreter of the peer's environment, made the first time."""
    place = (PLACE / "environments" / name).absolute()
    stamp, wanted = place / "installed", " ".join(PACKAGES[name])
    program = place / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the environment of {name} …", flush=True)
        venv.create(place, with_pip=True, clear=True)
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([program, "-m", "pip", "install", *quiet, *PACKAGES[name]], check=True)
        stamp.write_text(wanted)
    return program


@contextmanager
def helper(program: Path | str, script: str, *arguments: str) -> Iterator[Way]:
    """A process that measures once for each line it is sent, and answers with the figure."""
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "helpers.log").open("a") as log:  # progress bars and warnings of all kinds
        process = subprocess.Popen(
            [str(program), str(HELPERS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def measure() -> float:
        return float(_ask(process, "go"))

    try:
        yield measure
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(process: subprocess.Popen[str], line: str) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    for answer in process.stdout:
        if answer.startswith("figure "):
            return json.loads(answer.removeprefix("figure "))
    raise RuntimeError(f"{process.args!r} ended: {process.wait()}")


def run(command: Sequence[str | Path]) -> None:
    """Run to the end; raises ``CalledProcessError``."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


OWN = sys.executable
