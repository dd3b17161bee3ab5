"""The configuration: everybody's ``mcpServers``, with our keys under ``opspawn``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.broker.config import Isolation, read
from opspawn_jupyter.broker.variables import Secrets
from opspawn_jupyter.errors import SettingInvalid


def _file(path: Path, servers: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def test_later_files_and_settings_override_earlier_ones(tmp_path: Path) -> None:
    """A user's file goes before the system's, the server's own settings before both."""
    first = _file(tmp_path / "a", {"one": {"command": "a"}, "two": {"command": "a"}})
    second = _file(tmp_path / "b", {"two": {"command": "b", "args": ["x"]}})
    found = read([first, second, tmp_path / "none"], {"three": {"url": "https://c"}}).servers
    targets = {name: server.target for name, server in found.items()}
    assert targets == {"one": "a", "two": "b x", "three": "https://c"}


def test_other_programs_keys_are_passed_over_and_ours_are_checked(tmp_path: Path) -> None:
    entry = {"command": "x", "autoApprove": [], "opspawn": {"isolation": "task", "ask": ["rm"]}}
    file = _file(tmp_path / "a", {"good": entry, "bad": {**entry, "opspawn": {"alow": []}}})
    found = read([file], {}).servers
    assert found["good"].rules.isolation is Isolation.TASK
    assert "alow" in (found["bad"].problem or "")


@pytest.mark.parametrize(
    ("name", "entry", "says"),
    [
        ("a__b", {"command": "x"}, "name"),
        ("1st", {"command": "x"}, "name"),
        ("a", {}, "command or a url"),
        ("a", {"command": "x", "url": "http://y"}, "command or a url"),
        ("a", {"url": "ftp://y"}, "http://"),
        ("a", {"url": "http://y", "type": "sse"}, "sse"),
        ("a", {"command": "x", "args": "no list"}, "args"),
        ("a", ["x"], "object"),
        ("a", {"command": "x", "opspawn": {"timeout_seconds": 0}}, "timeout_seconds"),
        ("a", {"url": "http://y", "opspawn": {"oauth": {"grant": "magic"}}}, "grant"),
        ("a", {"url": "http://y", "opspawn": {"oauth": {"client_secret": "x"}}}, "the issuer"),
        (
            "a",
            {"url": "http://y", "opspawn": {"oauth": {"grant": "client_credentials"}}},
            "a client_secret or a private_key",
        ),
        (
            "a",
            {
                "url": "http://y",
                "opspawn": {"oauth": {"client_id": "c", "private_key": "k", "issuer": "http://i"}},
            },
            "only the grant client_credentials",
        ),
    ],
)
def test_a_faulty_entry_says_what_is_wrong_and_spoils_no_other(
    name: str, entry: Any, says: str
) -> None:
    found = read([], {name: entry, "good": {"command": "x"}}).servers
    assert says in (found[name].problem or "")
    assert found["good"].problem is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"mcpServers": []}'])
def test_a_faulty_file_is_named_and_spoils_no_other(tmp_path: Path, text: str) -> None:
    faulty = tmp_path / "faulty"
    faulty.write_text(text)
    found = read([faulty, _file(tmp_path / "b", {"good": {"command": "x"}})], {})
    assert list(found.servers) == ["good"]
    assert str(faulty) in found.problems


def test_a_command_in_a_file_needs_approval_and_one_in_the_settings_does_not(
    tmp_path: Path,
) -> None:
    file = _file(tmp_path / "a", {"filed": {"command": "x"}, "web": {"url": "http://y"}})
    found = read([file], {"own": {"command": "x"}}).servers
    assert {name for name, server in found.items() if server.needs_approval} == {"filed"}


def test_whatever_decides_which_program_runs_is_in_the_digest() -> None:
    entry: dict[str, Any] = {"command": "x", "args": ["a b"]}
    others: list[dict[str, Any]] = [
        {"command": "x", "args": ["a", "b"]},
        {**entry, "env": {"A": "1"}},
        {**entry, "cwd": "/"},
    ]
    digests = {read([], {"s": one}).servers["s"].digest for one in [entry, *others]}
    assert len(digests) == 4


def test_references_are_resolved_and_what_is_not_set_is_named(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "none", {"HOST": "h", "EMPTY": "", "KEY": "a-secret"})
    text = "${HOST}:${PORT:-80}/${EMPTY:-e}?${env:HOST}&${secret:KEY} $x"
    assert secrets.expand(text) == "h:80/e?h&a-secret $x"
    assert secrets.hide("it is a-secret") == "it is ***"
    with pytest.raises(SettingInvalid, match="NOBODY is not set"):
        secrets.expand("${NOBODY}")
