"""``%opspawn`` in IPython: loaded by ``%load_ext opspawn_jupyter``.

Loading costs next to nothing; the client is imported by the first command.
"""

from __future__ import annotations

from typing import Any

from opspawn_magics.completion import complete
from opspawn_magics.magic import OpspawnMagics

_NAMES = {"line": "%opspawn", "cell": "%%opspawn"}


def load(shell: Any) -> None:
    """Give the shell ``%opspawn`` and ``%%opspawn``, with completion."""
    shell.register_magics(OpspawnMagics)
    for name in _NAMES.values():
        shell.set_hook("complete_command", complete, str_key=name)


def unload(shell: Any) -> None:
    """Take them away again."""
    for kind in _NAMES:
        shell.magics_manager.magics[kind].pop("opspawn", None)
