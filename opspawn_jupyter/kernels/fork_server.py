"""A program that forks kernels on request: ``python /path/to/fork_server.py NAME OPTIONS``.

It is run by path, by any interpreter (3.9 or later) that has ipykernel, so that it serves kernels
of environments which know nothing of this project. Its parts in ``forking`` are therefore loaded
as a package of their own, and its directory is kept off the path on which user code imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGE = "opspawn_forking"


def _load_parts() -> None:
    directory = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(directory):
        del sys.path[0]
    parts = os.path.join(directory, "forking")
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(parts, "__init__.py"), submodule_search_locations=[parts]
    )
    if spec is None or spec.loader is None:
        raise ImportError(parts)
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load_parts()
    importlib.import_module(f"{PACKAGE}.first")
    importlib.import_module(f"{PACKAGE}.main").main(sys.argv[1:])
