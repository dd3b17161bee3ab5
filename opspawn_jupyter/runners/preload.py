"""What the fork server imports once, so that a run costs a fork and not seconds of imports."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from importlib import metadata

from opspawn_jupyter.errors import UnknownKind
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.ports import Runner

_GROUP = "opspawn_jupyter.runners"
#: A plugin's step is a notebook that was made for it; see ``kinds/plugin.py``.
_PLUGIN_GROUP = "opspawn_jupyter.plugins"
_PLUGIN_RUNNER = "notebook"
_log = logging.getLogger(__name__)


def _import_heavy_modules() -> None:
    """Import papermill and what stands below it.

    jupyter-events asks jsonschema for checks of formats; for one of them, of internationalised
    addresses, rfc3987_syntax builds a grammar, which takes 1.4 s of the 1.9 s that importing
    nbformat takes. jsonschema goes without it where it is missing, and no schema of notebooks
    uses that format, so it is made missing for the duration of the import.
    """
    missing = "rfc3987_syntax" not in sys.modules
    if missing:
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # import system's "absent"
    try:
        import nbclient  # noqa: F401
        import nbformat  # noqa: F401
        import papermill.execute  # noqa: F401
    finally:
        if missing:
            del sys.modules["rfc3987_syntax"]


def _load_runners() -> dict[str, Callable[[Grace], Runner]]:
    """Runner class by kind, of all installed packages; one that cannot be imported is left out."""
    runners = {}
    for point in metadata.entry_points(group=_GROUP):
        try:
            runners[point.name] = point.load()
        except Exception:  # a plugin's import may raise anything, and must not stop the others
            _log.exception("runner cannot be loaded kind=%s", point.name)
    plugins = [point.name for point in metadata.entry_points(group=_PLUGIN_GROUP)]
    return {**dict.fromkeys(plugins, runners[_PLUGIN_RUNNER]), **runners}


def _import_pool() -> None:
    """What each process of the tier ``pool`` needs, a new one for each workflow."""
    import opspawn_jupyter.plugins.performing
    import opspawn_jupyter.runners.pool  # noqa: F401


def _read_distributions() -> None:
    # Not at the top: it imports nbclient, which must come after the trick above.
    from opspawn_jupyter.runners.environment import listed

    listed(tuple(sys.path))


def _rehearse() -> None:
    # Not at the top, as above.
    from opspawn_jupyter.runners import rehearsal

    _try(rehearsal.rehearse)


def _try(rehearse: Callable[[], object]) -> None:
    try:
        rehearse()
    except Exception:  # a notebook of this environment may fail in any way; runs are only slower
        _log.exception("rehearsal failed")


def exercise() -> None:
    """In a fork: touch the memory that a run needs, before there is a run that waits for it."""
    from opspawn_jupyter.runners import rehearsal

    _try(rehearsal.perform)


_import_heavy_modules()
_RUNNERS = _load_runners()
_import_pool()
_read_distributions()
_rehearse()
gc.freeze()  # forks share what is there now, as long as the collector does not touch it


def runner(kind: str, grace: Grace) -> Runner:
    """The runner of this kind. Raises ``UnknownKind``."""
    try:
        return _RUNNERS[kind](grace)
    except KeyError as missing:
        raise UnknownKind(kind) from missing
