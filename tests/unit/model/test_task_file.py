"""``task.json``, of one task and of many."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter.model import task_file
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.run_directory import RunDirectory


def _record(name: str, **spec: object) -> dict[str, object]:
    return {"id": new_id(), "kind": "k", "name": name, "spec": spec, "labels": {}}


def _directory(root: Path, name: str, content: bytes) -> RunDirectory:
    run = RunDirectory(root / name)
    run.path.mkdir()
    run.task.write_bytes(content)
    return run


def test_each_of_many_finds_its_own(tmp_path: Path) -> None:
    """One file lies in all of their directories, and the id in their names tells them apart."""
    records = [_record("a", x=1), _record("b", x=1), _record("c", x=2)]
    content = task_file.content(records)

    assert content.count(b'"kind"') == 1, "what they have in common is said once"
    for record in records:
        run = _directory(tmp_path, f"run_{str(record['id'])[-8:]}", content)
        assert task_file.read(run) == record


def test_one_alone_has_a_file_as_any_task(tmp_path: Path) -> None:
    """Nobody has to know that it might have been one of many."""
    record = _record("a", x=1)
    run = _directory(tmp_path, "run", task_file.content([record]))
    assert task_file.read(run) == record


def test_a_directory_that_was_renamed_has_no_task_of_many(tmp_path: Path) -> None:
    """To guess which of them it was would be worse."""
    run = _directory(tmp_path, "renamed", task_file.content([_record("a"), _record("b")]))
    with pytest.raises(ValueError, match="'renamed'"):
        task_file.read(run)
