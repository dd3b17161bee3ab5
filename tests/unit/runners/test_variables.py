"""What a process was given, and what is made of it."""

from __future__ import annotations

import os

import pytest

from opspawn_jupyter.runners import variables


def test_what_was_given_is_known_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again only where something was changed, however that was done."""
    monkeypatch.setenv("OPSPAWN_TEST", "one")
    first = variables.given()
    assert variables.given() is first

    monkeypatch.setenv("OPSPAWN_TEST", "two")
    assert first["OPSPAWN_TEST"] == "one"
    assert variables.given() == dict(os.environ)

    monkeypatch.delenv("OPSPAWN_TEST")
    assert "OPSPAWN_TEST" not in variables.given()
