"""Using preloaded libraries a little, before any kernel does.

What a library makes at its first use (tables, caches, modules that it imports late) is then made
once and shared by all forks. Of pandas that is 10 of the 16 MB that a kernel would add of its own.
Nothing here touches a library's settings, or draws random numbers.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterable

log = logging.getLogger("opspawn_forking")


def use_all(names: Iterable[str]) -> None:
    """Use the libraries among these modules that are known here and could be imported."""
    for library in sorted({name.partition(".")[0] for name in names} & _USES.keys()):
        if library not in sys.modules:
            continue
        try:
            _USES[library]()
        except Exception as error:  # of a foreign library, which kernels can import all the same
            log.warning("module not used name=%s error=%s", library, type(error).__name__)


def _pandas() -> None:
    import pandas

    frame = pandas.DataFrame({"number": range(9), "word": list("abc") * 3})
    told = (frame.describe(), frame.groupby("word").sum(), frame[frame["number"] > 1])
    for table in told:
        table.to_html(max_rows=2)
        table.to_string()


def _matplotlib() -> None:
    from matplotlib.figure import Figure  # without pyplot, which would keep it

    figure = Figure()
    figure.add_subplot().plot([1, 2])
    figure.savefig(io.BytesIO(), format="png")


_USES: dict[str, Callable[[], None]] = {"pandas": _pandas, "matplotlib": _matplotlib}
