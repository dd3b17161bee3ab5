"""``%opspawn`` in IPython: loaded by ``%load_ext opspawn_jupyter``.

Loading costs next to nothing; the client is imported by the first command.
"""

from __future__ import annotations

from typing import Any

from opspawn_magics.completion import complete
from opspawn_magics.magic import OpspawnMagics

_NAMES = {"line": "%opspawn", "cell": "%%opspawn"}
#: What may need a widget to be live, by module and name: neither is imported for this.
_LIVE = (
    ("opspawn_jupyter.client.handle", "TaskHandle"),
    ("opspawn_magics.display", "TaskList"),
)


def load(shell: Any) -> None:
    """Give the shell ``%opspawn`` and ``%%opspawn``, with completion."""
    shell.register_magics(OpspawnMagics)
    for name in _NAMES.values():
        shell.set_hook("complete_command", complete, str_key=name)
    for module, name in _LIVE:
        bundles = shell.display_formatter.mimebundle_formatter
        bundles.for_type_by_name(module, name, lambda shown: _live(shown, shell))


def unload(shell: Any) -> None:
    """Take them away again."""
    for kind in _NAMES:
        shell.magics_manager.magics[kind].pop("opspawn", None)
    for module, name in _LIVE:
        shell.display_formatter.mimebundle_formatter.pop(f"{module}.{name}", None)


def _live(shown: Any, shell: Any) -> dict[str, Any]:
    from opspawn_magics.live import bundle_with_widget

    return bundle_with_widget(shown, shell.user_ns)
