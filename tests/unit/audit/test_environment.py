"""What an audit learns of the environment that a kernel runs in."""

from __future__ import annotations

import sys
from pathlib import Path

from opspawn_jupyter.audit import environment

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_source_of_a_package_installed_in_place_belongs_to_the_environment() -> None:
    """A notebook that imports one reads no data from outside of its project. Here it is our own:
    the tests run where it is installed in place."""
    found = environment.probe(sys.executable)

    assert str(REPOSITORY) in found["paths"]
    assert "opspawn-jupyter" in {one["name"] for one in found["distributions"]}
