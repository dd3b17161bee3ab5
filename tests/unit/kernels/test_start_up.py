"""What the beginning of a kernel leaves behind."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

from opspawn_jupyter.kernels.forking import start_up


def test_what_was_imported_meanwhile_belongs_to_the_start(monkeypatch):
    """``%reset -s`` removes the modules that came after the start, and no others."""
    shell = SimpleNamespace(_sys_modules_keys=set(sys.modules))
    for name in ("imported_1", "imported_2"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    start_up.conclude(SimpleNamespace(hide_initial_ns=False, shell=shell))

    assert shell._sys_modules_keys == set(sys.modules)
