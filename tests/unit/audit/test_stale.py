"""Outputs that are older than their code: told from two versions of a file, without running it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from opspawn_jupyter.audit.stale import stale
from tests.unit.audit.notebooks import Notebook, code, stream

ROOT = Path(__file__).parents[3]


def a_notebook() -> Notebook:
    cells = [code("x = 1", count=1), code("print(x)", stream("1\n"), count=2)]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def changed(place: int, **changes: Any) -> Notebook:
    notebook = copy.deepcopy(a_notebook())
    notebook["cells"][place].update(changes)
    return notebook


def test_a_notebook_as_it_was_is_not_stale() -> None:
    assert stale(a_notebook(), a_notebook()) == []
    assert stale(a_notebook(), None) == []


def test_a_cell_that_was_changed_and_not_run_is_named() -> None:
    found = stale(changed(1, source="print(x + 1)"), a_notebook())

    assert found == ["cell 1: its code was changed, and it was not run since"]


def test_a_cell_that_was_changed_and_run_is_well() -> None:
    """It may give the same again; its count tells that it was run."""
    again = changed(1, source="print(+x)", execution_count=3)

    assert stale(again, a_notebook()) == []


def test_a_cell_is_known_by_its_id_wherever_it_stands() -> None:
    before, now = a_notebook(), a_notebook()
    for notebook in (before, now):
        for cell, name in zip(notebook["cells"], "ab", strict=True):
            cell["id"] = name
    now["cells"][1]["source"] = "print(x * 2)"
    now["cells"].insert(0, {**code("import os", count=1), "id": "new"})

    assert stale(now, before) == ["cell 2: its code was changed, and it was not run since"]


def test_a_cell_without_a_count_and_an_odd_order_are_named() -> None:
    assert stale(changed(1, execution_count=None, outputs=[]), None) == [
        "cell 1: it was never run, though others were"
    ]
    assert "another order" in stale(changed(0, execution_count=9), None)[0]


def test_the_hook_fails_a_commit_of_a_stale_notebook(tmp_path: Path) -> None:
    """By the words that the hook's file names, in a repository of the user's."""
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(a_notebook()))
    for words in (["init", "--quiet"], ["add", "a.ipynb"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    by = ["-c", "user.name=A", "-c", "user.email=a@host.example"]
    commit = ["git", "-C", str(tmp_path), *by, "commit", "--quiet", "-m", "first"]
    subprocess.run(commit, check=True)
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    words = [sys.executable, "-m", "opspawn_jupyter.cli", *hook["entry"].split()[1:], "a.ipynb"]

    well = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    path.write_text(json.dumps(changed(1, source="print(x + 1)")))
    stale_one = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    path.write_text("[]")
    broken = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (well.returncode, well.stdout) == (0, "")
    assert (stale_one.returncode, stale_one.stdout) == (
        1,
        "a.ipynb: cell 1: its code was changed, and it was not run since\n",
    )
    assert broken.returncode == 2
    assert "no notebook of format 4" in broken.stderr
