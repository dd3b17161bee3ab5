"""IPython's display functions, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython import display as _display

#: Show an object, or with ``raw=True`` a bundle of MIME types, in the running cell.
display: Callable[..., Any] = _display.display
#: Take away what the running cell has shown so far.
clear_output: Callable[..., None] = _display.clear_output
