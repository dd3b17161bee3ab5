"""``opspawn verify`` over a stopped server's history: edits and truncation are found."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from opspawn_jupyter.cli import main
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.stores import chain


def write_journal(root: Path, texts: list[str]) -> None:
    """A history that only a journal holds, of these log lines."""
    directory = root / ".opspawn" / "journal"
    directory.mkdir(parents=True, exist_ok=True)
    lines, previous = [], ""
    for seq, text in enumerate(texts, start=1):
        draft = Draft(task_id="t", type=EventType.STEP_LOG, data={"text": text})
        event, body = chain.link(draft, seq, previous)
        previous = event.hash
        lines.append(b"%08x %s\n" % (zlib.crc32(body), body))
    (directory / "journal-0000000000000001.jsonl").write_bytes(b"".join(lines))


def test_a_whole_history_verifies_and_its_head_can_be_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path, ["a", "b", "c"])
    heads = tmp_path / "heads.jsonl"

    assert main(["verify", "--root", str(tmp_path), "--note", str(heads)]) == 0
    assert "3 events, tree head" in capsys.readouterr().out
    assert json.loads(heads.read_text())["tree_size"] == 3
    assert main(["verify", "--root", str(tmp_path), "--head", str(heads)]) == 0


@pytest.mark.parametrize(
    ("now", "said"),
    [(["a", "b"], "1 are gone"), (["a", "x", "c"], "are not those that the history holds now")],
    ids=["truncated", "rewritten"],
)
def test_a_history_that_was_rewritten_from_the_start_contradicts_an_old_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], now: list[str], said: str
) -> None:
    """Whoever owns the machine can make a new chain that holds; not one with the old head."""
    write_journal(tmp_path, ["a", "b", "c"])
    heads = tmp_path / "heads.jsonl"
    main(["verify", "--root", str(tmp_path), "--note", str(heads)])
    write_journal(tmp_path, now)

    assert main(["verify", "--root", str(tmp_path), "--head", str(heads)]) == 1
    assert said in capsys.readouterr().out


def test_an_edited_event_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_journal(tmp_path, ["a", "b", "c"])
    path = next((tmp_path / ".opspawn" / "journal").iterdir())
    body = path.read_bytes().splitlines()[1][9:].replace(b'"text":"b"', b'"text":"x"')
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"%08x %s\n" % (zlib.crc32(body), body)
    path.write_bytes(b"".join(lines))

    assert main(["verify", "--root", str(tmp_path)]) == 1
    assert "event 2 is missing, was changed" in capsys.readouterr().out


def test_bad_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_journal(tmp_path, ["a"])
    (tmp_path / "heads").write_text("no head\n")

    assert main(["verify", str(tmp_path / "missing.zip")]) == 2
    assert main(["verify", "--root", str(tmp_path), "--head", str(tmp_path / "heads")]) == 2
    assert "line 1 is no tree head" in capsys.readouterr().err
