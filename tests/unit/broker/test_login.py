"""Logins: where they may lead, and what becomes of what is kept."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import httpx2
import pytest

from opspawn_jupyter.broker.http import may_lead
from opspawn_jupyter.broker.tokens import Tokens
from opspawn_jupyter.broker.variables import Secrets


@pytest.mark.parametrize(
    ("server", "address", "may"),
    [
        ("https://mcp.example.com/mcp", "https://login.example.org/token", True),
        ("https://mcp.example.com/mcp", "http://login.example.org/token", False),
        ("http://mcp.example.com/mcp", "http://login.example.com/token", True),
        ("https://mcp.example.com/mcp", "https://127.0.0.1:8888/api", False),
        ("https://mcp.example.com/mcp", "https://localhost/api", False),
        ("https://mcp.example.com/mcp", "https://169.254.169.254/latest", False),
        ("https://mcp.example.com/mcp", "https://[::1]/", False),
        ("https://10.0.0.5/mcp", "https://10.0.0.6/token", True),
        ("http://localhost:3000/mcp", "http://localhost:3001/token", True),
    ],
)
def test_a_server_leads_a_login_to_no_place_that_only_we_reach(
    server: str, address: str, may: bool
) -> None:
    """It names the addresses; else it could have this machine ask its own networks."""
    assert may_lead(httpx2.URL(server), httpx2.URL(address)) is may


def test_what_is_kept_is_hidden_in_all_texts(tmp_path: Path) -> None:
    """Records and messages pass through the same hands as secrets of the configuration."""
    file = tmp_path / "logins.json"

    def tokens() -> tuple[Tokens, Secrets]:
        secrets = Secrets(tmp_path / "none", {})
        found = Tokens(file, secrets.conceal)
        found.load()
        return found, secrets

    first, secrets = tokens()
    kept = {"access_token": "very-secret", "refresh_token": "as-secret"}
    asyncio.run(first.login("one", "user me", "here").put(tokens=kept))
    again, others = tokens()
    for hidden in (secrets, others):
        assert hidden.hide("very-secret and as-secret") == "*** and ***"
    assert again.login("one", "user me", "here").get("tokens") == kept
    assert again.login("one", "user me", "elsewhere").get("tokens") is None
    assert again.login("one", "user you", "here").get("tokens") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"logins": []}', '{"logins": {"one": 1}}'])
def test_a_broken_file_is_no_login(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """People log in again; nothing else stops."""
    file = tmp_path / "logins.json"
    file.write_text(text)
    file.chmod(0o600)
    tokens = Tokens(file, str)
    tokens.load()
    assert tokens.login("one", "user me", "here").get("tokens") is None
    assert "logins cannot be read" in caplog.text


def test_a_file_that_others_can_read_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever could read it could be whoever logged in."""
    caplog.set_level(logging.ERROR)
    file = tmp_path / "logins.json"
    kept = {"bound_to": "here", "tokens": {"access_token": "a"}}
    file.write_text(json.dumps({"logins": {"one": {"user me": kept}}}))
    file.chmod(0o644)
    tokens = Tokens(file, str)
    tokens.load()
    assert tokens.login("one", "user me", "here").get("tokens") is None
    assert "others can read" in caplog.text
