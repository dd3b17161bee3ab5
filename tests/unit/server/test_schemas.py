"""What people send is checked at the door, and the refusal names the field."""

from __future__ import annotations

import pytest

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.server.schemas import (
    LogQuery,
    PathQuery,
    TaskListQuery,
    read_body,
    read_query,
)


def test_a_submission_is_read():
    """The plainest one has a spec only."""
    submission = read_body(Submission, b'{"spec": {"notebook": "a.ipynb"}}')

    assert (submission.kind, submission.spec) == ("notebook", {"notebook": "a.ipynb"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"null", "object"),
        (b"{}", "spec"),
        (b'{"spec": {}, "polcy": {}}', "polcy"),
        (b'{"spec": {}, "policy": {"timeout_seconds": "soon"}}', "policy.timeout_seconds"),
        (b'{"spec": {}, "labels": {"a": 1}}', "labels.a"),
    ],
)
def test_a_wrong_body_is_refused_by_name(body, words):
    """A misspelt field that was passed over would be a task that does something else."""
    with pytest.raises(InvalidRequest, match=words):
        read_body(Submission, body)


def test_a_query_is_read():
    """Some names may be given several times, and blanks are no values."""
    query = read_query(
        TaskListQuery,
        {
            "state": ["failed", "crashed"],
            "label": ["team:a:b"],
            "kind": [""],
            "limit": ["5"],
            "token": ["Jupyter's own"],
            "1700000000": [""],
        },
    ).record()

    assert query.states == (State.FAILED, State.CRASHED)
    assert (query.labels, query.kind, query.limit) == ({"team": "a:b"}, None, 5)


@pytest.mark.parametrize(
    ("cls", "arguments", "words"),
    [
        (TaskListQuery, {"stat": ["failed"]}, "stat"),
        (TaskListQuery, {"state": ["lost"]}, "state"),
        (TaskListQuery, {"limit": ["501"]}, "limit"),
        (LogQuery, {"offset": ["-1"]}, "offset"),
        (PathQuery, {}, "path"),
    ],
)
def test_a_wrong_query_is_refused_by_name(cls, arguments, words):
    """A misspelt filter that was passed over would list everything."""
    with pytest.raises(InvalidRequest, match=words):
        read_query(cls, arguments)


def test_a_label_without_a_colon_is_refused():
    """Its value is not guessed."""
    with pytest.raises(InvalidRequest, match="name:value"):
        TaskListQuery(label=("team",)).record()
