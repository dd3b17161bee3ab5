"""One grammar for cells and shells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from opspawn_jupyter.client.commands import submission_of
from opspawn_jupyter.client.grammar import command_names, option_names, parse
from opspawn_jupyter.client.parser import Surface
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import State


def test_a_run_is_understood_alike_in_a_cell_and_in_a_shell() -> None:
    options = "--name n --label x=1 --timeout 5 --key k"
    words = ["run", "a.ipynb", "-p", "region=EU", "-p", "q=a=b", *options.split()]

    line, shell = parse(words, Surface.LINE), parse(words, Surface.SHELL)

    assert line is not None
    assert shell is not None
    assert line.parameters == shell.parameters == {"region": "EU", "q": "a=b"}
    assert (line.timeout, line.labels, line.key) == (5.0, {"x": "1"}, "k")
    assert (line.wait, shell.wait) == (False, True)


def test_waiting_can_be_chosen_on_both_surfaces() -> None:
    for surface in (Surface.LINE, Surface.SHELL):
        waiting = parse(["run", "a", "--wait"], surface)
        detached = parse(["run", "a", "--detach"], surface)
        assert waiting is not None
        assert detached is not None
        assert (waiting.wait, detached.wait) == (True, False)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "COMMAND"),
        ("fly", "fly"),
        ("run", "NOTEBOOK"),
        ("run a -p x", "NAME=VALUE"),
        ("run a -p =1", "NAME=VALUE"),
        ("run a -p x=1 -p x=2", "'x' twice"),
        ("run a --frobnicate", "--frobnicate"),
        ("run a --wait --detach", "not allowed with"),
        ("run a --timeout soon", "number of seconds"),
        ("run a --timeout -1", "number of seconds"),
        ("run a --timeout nan", "number of seconds"),
        ("run a --tim 5", "--tim"),
        ("tasks --state asleep", "asleep"),
        ("tasks --limit 0", "number from 1 on"),
        ("logs t --tail 2 --follow", "not allowed with"),
    ],
)
def test_what_is_not_understood_is_said_with_the_usage(line: str, reason: str) -> None:
    """Neither a kernel nor a test may end because of a typing error."""
    with pytest.raises(UsageError) as caught:
        parse(line.split(), Surface.SHELL)

    assert reason in str(caught.value)
    assert "usage: opspawn" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_serve_is_for_shells_only() -> None:
    """A cell has its server already."""
    parse(["run", "a", "--serve"], Surface.SHELL)
    with pytest.raises(UsageError):
        parse(["run", "a", "--serve"], Surface.LINE)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"]])
def test_help_is_printed_and_ends_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(words, Surface.LINE) is None
    assert "usage: %opspawn" in capsys.readouterr().out


def test_a_descending_sort_can_be_written() -> None:
    options = parse(["tasks", "--sort=-name", "--state", "failed"], Surface.SHELL)

    assert options is not None
    assert (options.sort, options.state) == ("-name", ["failed"])


def test_completion_knows_commands_and_options() -> None:
    assert {"run", "agent", "sql"} <= set(command_names(Surface.CELL))
    assert "cancel" in command_names(Surface.LINE)
    assert "--serve" not in option_names("run", Surface.LINE)
    assert {"--wait", "--json"} <= set(option_names("run", Surface.LINE))


def test_a_policy_is_asked_for_by_options() -> None:
    """Retries, order and hooks are said alike in a cell and in a shell."""
    words = (
        "run a.ipynb --retries 2 --retry-delay 0 --retry-on crashed,timed_out --priority 5 "
        "--not-before 2030-01-31T09:00+01:00 --concurrency-key gpu --on-failure team "
        "--on-failure https://host/x"
    )

    for surface in (Surface.SHELL, Surface.LINE):
        options = parse(words.split(), surface)
        assert options is not None
        submission = submission_of(options)
        assert submission.policy == Policy(
            max_retries=2,
            retry_delay_seconds=0,
            retry_on=(State.CRASHED, State.TIMED_OUT),
            priority=5,
            not_before=datetime(2030, 1, 31, 8, tzinfo=UTC),
            concurrency_key="gpu",
        )
        assert submission.on_failure == ("team", "https://host/x")


def test_a_time_may_be_given_from_now_on() -> None:
    """Nobody computes the time of day in an hour and a half."""
    options = parse(["run", "a.ipynb", "--not-before", "+1.5h"], Surface.SHELL)

    assert options is not None
    minutes = (options.not_before - datetime.now(UTC)).total_seconds() / 60
    assert 89 < minutes <= 90


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--retry-on success", "failed,timed_out,crashed"),
        ("--not-before soon", "time"),
        ("--retries many", "int"),
    ],
)
def test_a_bad_policy_option_names_what_it_takes(words: str, said: str) -> None:
    """The message must say what to write instead."""
    with pytest.raises(UsageError, match=said):
        parse(["run", "a.ipynb", *words.split()], Surface.SHELL)
