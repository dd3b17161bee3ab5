"""``opspawn workflow copy-example``: the examples, where they can be tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter.cli.entry import main


def test_the_examples_are_copied_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "try"

    assert main(["workflow", "copy-example", str(target)]) == 0

    assert capsys.readouterr().out == f"{target}\n"
    assert (target / "greeting.yaml").read_text().startswith("# opspawn workflow run")
    assert (target / "data" / "penguins.csv").is_file()
    assert (target / "penguin_report.ipynb").is_file()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "greetings.py").write_text("mine")

    assert main(["workflow", "copy-example", str(tmp_path)]) == 2

    assert "greetings.py is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["greetings.py"]
