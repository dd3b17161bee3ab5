"""The files of a run, as strangers may ask for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opspawn_jupyter.errors import ArtifactNotFound
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.server.run_files import artifacts, log_slice, regular_file
from opspawn_jupyter.server.schemas import Artifact, LogQuery


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    one = RunDirectory(tmp_path / "run")
    one.artifacts.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    return one


@pytest.mark.parametrize(
    "name", ["../run.log", "../../secret", "/etc/passwd", "missing", ".", "", "a\0b", "x" * 300]
)
def test_nothing_outside_the_artifacts_is_given(directory, name):
    """The address is the caller's to choose."""
    directory.log.write_text("x")

    with pytest.raises(ArtifactNotFound):
        regular_file(directory.artifacts, name)


def test_links_that_lead_outside_are_refused(directory):
    """User code writes the run directory, and could plant a link to a key."""
    (directory.artifacts / "link").symlink_to(directory.path.parent / "secret")
    (directory.artifacts / "folder").symlink_to(directory.path.parent)

    for name in ("link", "folder/secret"):
        with pytest.raises(ArtifactNotFound):
            regular_file(directory.artifacts, name)
    assert artifacts(directory) == ()


def test_pipes_are_refused(directory):
    """To open one would hold a thread of the server for ever."""
    os.mkfifo(directory.artifacts / "pipe")

    with pytest.raises(ArtifactNotFound):
        regular_file(directory.artifacts, "pipe")


def test_files_are_named_with_their_size(directory):
    """People choose what to download by it."""
    (directory.artifacts / "sub folder").mkdir()
    (directory.artifacts / "sub folder" / "ä.csv").write_text("12345")

    found = artifacts(directory)

    assert found == (Artifact(path="sub folder/ä.csv", size_bytes=5),)
    assert regular_file(directory.artifacts, found[0].path).read_text() == "12345"


def test_a_log_is_read_in_parts_that_never_cut_a_character(directory):
    """Whoever follows a log puts the parts together."""
    directory.log.write_text("äöü€\n" * 10, encoding="utf-8")
    text, offset, finished = "", 0, False

    while not finished:
        part = log_slice(directory, LogQuery(offset=offset, limit=4), has_ended=True)
        text, offset, finished = text + part.text, part.next_offset, part.finished

    assert text == "äöü€\n" * 10


def test_a_running_log_is_never_finished(directory):
    """More may come."""
    directory.log.write_text("x")

    part = log_slice(directory, LogQuery(), has_ended=False)

    assert (part.text, part.next_offset, part.finished) == ("x", 1, False)


def test_the_tail_is_the_last_lines(directory):
    """People look at the end first."""
    directory.log.write_text("1\n2\n3\n")

    part = log_slice(directory, LogQuery(tail=2), has_ended=True)

    assert (part.text, part.next_offset) == ("2\n3\n", 6)


def test_there_may_be_no_log_yet(directory):
    """The run has not begun."""
    assert log_slice(directory, LogQuery(), has_ended=False).text == ""
