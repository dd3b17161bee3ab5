"""Pictures of tasks: text and HTML that are true, safe and readable everywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from opspawn_jupyter import connect
from opspawn_jupyter.client import html, question_text, task_text, text
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.question import LOGIN_ADDRESS, Question
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.table import Column, Table
from opspawn_jupyter.model.task import Task

EVIL = "<script>alert(1)</script>&\"'"


@pytest.fixture
def failed(stand_in: Any, stories: Any) -> Task:
    stand_in.story = stories["failure"]
    return stand_in.submitted(EVIL)


class _WellFormed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)
        assert not self.tags

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.tags.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag


def test_a_card_says_what_happened(failed: Task) -> None:
    card = task_text.task_card(failed, "/root/run")

    assert "✗ failed" in card
    assert "cells 2 of 2" in card
    assert "error: cell 2 of 2: ValueError: <b>bad</b>" in card
    assert "rows" not in card
    assert "run directory: /root/run" in card


def test_nothing_that_a_user_named_becomes_markup(failed: Task, stand_in: Any) -> None:
    """A task's name and its error come from notebooks of other people."""
    evil = replace(failed, outputs={EVIL: EVIL})

    card = html.task_card(evil, stand_in.server, "/root/<i>/output.ipynb")
    listing = html.task_list([evil])
    table = html.table(Table(columns=(Column(name=EVIL, type="VARCHAR"),), rows=((EVIL,),)))
    parameters = html.parameter_list([Parameter(name=EVIL, type=EVIL, default=EVIL, help=EVIL)])

    for page in (card, listing, table, parameters):
        assert not _WellFormed(page).seen & {"script", "i"}
        assert "alert(1)" in page


def test_the_run_directory_is_a_link_of_the_file_browser(failed: Task, stand_in: Any) -> None:
    """It has no host: the browser may know the server by another name than the kernel."""
    task = replace(failed, run_directory="runs/a b#1")

    card = html.task_card(task, stand_in.server, "/root/runs/a b#1/output.ipynb")

    assert 'href="/base/lab/tree/runs/a%20b%231"' in card
    assert ">runs/a b#1<" in card


def test_a_run_directory_that_cannot_be_looked_into_spoils_no_card(
    failed: Task, stand_in: Any
) -> None:
    """The server may be another user's, or have this path on another machine."""
    card = html.task_card(failed, stand_in.server, f"/{'x' * 300}/output.ipynb")

    assert "executed notebook" not in card
    assert "run directory" in card


def test_the_executed_notebook_is_a_link_beside_the_notebook(
    stand_in: Any, failed: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JupyterLab opens relative links as files; the link is there when the file is."""
    task = connect().attach(failed)
    assert "executed notebook" not in task._repr_mimebundle_()["text/html"]

    folder = stand_in.root / failed.run_directory
    folder.mkdir(parents=True)
    (folder / "output.ipynb").touch()
    (stand_in.root / "sub").mkdir()
    monkeypatch.chdir(stand_in.root / "sub")

    assert 'href="../opspawn_runs/' in task._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_a_colour_a_glyph_and_a_word(failed: Task, state: State) -> None:
    """Colour alone tells some people nothing, and white on the colour must be readable."""
    pill = html.task_list([replace(failed, state=state)])

    assert task_text.state_word(state) in pill
    (colour,) = set(re.findall(r"background:#(\w{6})", pill))
    channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_a_running_task_says_where_it_is(stand_in: Any, stories: Any) -> None:
    stand_in.story = [
        *stories["success"][:6],
        (stories["success"][6][0].STEP_PROGRESS, {"fraction": 0.5, "text": "half"}),
    ]

    card = task_text.task_card(stand_in.submitted())

    assert "now: plot(load) · 50% half" in card
    assert "cells 1 of 2" in card


def test_a_retrying_task_says_why_and_until_when(failed: Task, stand_in: Any) -> None:
    """Whoever looks must not take it for lost."""
    waiting = replace(
        failed,
        state=State.RETRYING,
        attempt=1,
        policy=Policy(max_retries=2),
        retry_at=datetime(2030, 1, 31, 9, tzinfo=UTC),
    )

    for shown in (task_text.task_card(waiting), html.task_card(waiting, stand_in.server, "")):
        assert "attempt 1 of 3" in shown
        assert "next try at 2030-01-31 09:00:00 UTC" in shown


def test_a_long_name_does_not_widen_the_list(failed: Task) -> None:
    """One run of 200 characters would wrap the line of each other."""
    lines = task_text.task_list([failed, replace(failed, name="n" * 200)]).splitlines()

    assert max(map(len, lines)) < 140


def test_tables_are_columns_of_text() -> None:
    table = Table(
        columns=(Column(name="n", type="INTEGER"), Column(name="long name", type="VARCHAR")),
        rows=((1, None), (1000, "x")),
        truncated=True,
    )

    lines = text.table_text(table).splitlines()

    assert lines == ["n     long name", "1", "1000  x", "(there are more rows)"]
    assert task_text.task_list([]) == "no tasks"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.44, "0.4 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert task_text.duration(seconds) == said


def test_where_to_log_in_is_shown_whole_and_harmless():
    """A table would cut the address; and its text is another server's."""
    url = f"https://login.example/authorize?state={'x' * 200}&y={EVIL}"
    question = Question(
        id="01a21645-3203-70e9-b9d5-e01e038a0ea9",
        text=f"guarded wants you to log in: {url}",
        detail={"server": f"guarded{EVIL}", LOGIN_ADDRESS: url},
        choices=("no",),
        asked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    assert url in question_text.question_list([question])
    assert url in question_text.question_card(question)
    shown = html.question_list([question])
    assert "<a href=" in shown
    assert "<script>" not in shown
