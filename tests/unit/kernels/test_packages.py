"""A fork server notices that packages were installed, and does not mind the user's files."""

from __future__ import annotations

import sys

from opspawn_jupyter.kernels.forking import packages


def test_an_added_package_changes_the_snapshot(monkeypatch, tmp_path):
    """pip adds or removes an entry for every change that it makes."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [str(site)])
    before = packages.snapshot(packages.places())

    (site / "new-1.dist-info").mkdir()

    assert packages.snapshot(packages.places()) != before


def test_a_new_file_beside_a_notebook_changes_nothing(monkeypatch, tmp_path):
    """Notebooks write files all the time."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = packages.snapshot(packages.places())

    (tmp_path / "result.csv").touch()

    assert packages.snapshot(packages.places()) == before
