"""Cards and lists in front ends that reach no Jupyter server of ours: as widgets, over the kernel.

JupyterLab with our extension draws the MIME type of our own. Without it, JupyterLab prefers a
widget to the picture beside it, and shows an error in its place once the kernel is gone. So a
widget is made only where the front end is known to be another.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.inputs import own_run
from opspawn_jupyter.client.panel import PANEL_MIME
from opspawn_magics.relay import Relay

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
#: ``always`` or ``never``, for whoever knows better.
CHOICE_VARIABLE = "OPSPAWN_WIDGET"

_log = logging.getLogger(__name__)

_WIDGETS = Path(__file__).parent / "widgets"
#: In JupyterLab's own hands, or of pages that come from the server.
_LEFT_OUT = frozenset({"plugin", "remoteEntry", "run_page", "widget"})
_COMMENT = re.compile(r"^[ \t]*/\*\*.*?\*/[ \t]*\n", re.DOTALL | re.MULTILINE)


def bundle_with_widget(shown: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """What shows the object, and a live widget where one is needed. ``names``: the user's."""
    bundle: dict[str, Any] = shown._repr_mimebundle_()
    try:
        if shown.server is not None and is_needed(names):
            bundle |= _widget(shown, bundle[PANEL_MIME])
    except Exception:
        # The picture is there, and a cell must not fail for what stands around its result.
        _log.warning("no live widget", exc_info=True)
    return bundle


def is_needed(names: Mapping[str, Any]) -> bool:
    """Whether who looks on reaches our server through this kernel only."""
    choice = os.environ.get(CHOICE_VARIABLE, "")
    if choice == "never" or own_run() is not None or find_spec("anywidget") is None:
        return False
    is_elsewhere = "google.colab" in sys.modules or "__vsc_ipynb_file__" in names
    return choice == "always" or is_elsewhere


def _widget(shown: Any, panel: Mapping[str, Any]) -> dict[str, Any]:
    is_followed = isinstance(shown, TaskHandle) and not shown.state.is_final
    widget = _widget_class()(panel=panel, server_url=shown.server.url, is_followed=is_followed)
    relay = Relay(shown.server, widget.send)
    widget.on_msg(lambda _, message, __: relay.take(message))
    if is_followed:
        relay.follow(shown.task, lambda told: setattr(widget, "panel", told))
    view = widget._repr_mimebundle_()
    return {WIDGET_MIME: (view[0] if isinstance(view, tuple) else view)[WIDGET_MIME]}


@functools.cache
def _widget_class() -> type[Any]:
    """Made when it is first needed: anywidget takes a second to import, and need not be there."""
    import anywidget
    import traitlets

    class LiveView(anywidget.AnyWidget):
        """A card or a list, with the kernel as its way to the server."""

        _esm = _module()
        _css = (_WIDGETS / "panel.css").read_text("utf-8")
        panel = traitlets.Dict().tag(sync=True)
        server_url = traitlets.Unicode().tag(sync=True)
        is_followed = traitlets.Bool().tag(sync=True)

    return LiveView


def _module() -> str:
    """All modules in one, as anywidget wants it; comments stay at home."""
    files = sorted(_WIDGETS.glob("*.js"))
    kept = {file.name: _without_comments(file) for file in files if file.stem not in _LEFT_OUT}
    return f"const MODULES = {json.dumps(kept)};\n{_without_comments(_WIDGETS / 'widget.js')}"


def _without_comments(file: Path) -> str:
    return _COMMENT.sub("", file.read_text("utf-8"))
