"""``python_function``: a function of a module, called."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import BuiltinFunctionType
from typing import Any

from pydantic import Field, field_validator

from opspawn_jupyter.plugins.configuration import StrictConfig


class PythonFunction:
    """Call a function; what it returns is the step's result."""

    outputs = ("result",)
    #: Its steps may run in the tier ``pool``.
    can_share_process = True

    class Config(StrictConfig):
        """``function`` is ``module:name``. The module may lie in the step's working directory."""

        function: str
        args: list[Any] = Field(default_factory=list)
        kwargs: dict[str, Any] = Field(default_factory=dict)

        @field_validator("function")
        @classmethod
        def _names_a_function(cls, function: str) -> str:
            module, colon, name = function.partition(":")
            parts = [*module.split("."), *name.split(".")]
            if not colon or not all(part.isidentifier() for part in parts):
                message = "write it as module:function"
                raise ValueError(message)
            return function

    def run(self, config: Config, context: Mapping[str, Any]) -> dict[str, Any]:
        """``result``: what the function returned. A function with a parameter ``context`` gets
        the context there."""
        function = _function(config.function)
        kwargs = dict(config.kwargs)
        if _takes_context(function) and "context" not in kwargs:
            kwargs["context"] = context
        returned = function(*config.args, **kwargs)
        return {"result": _awaited(returned) if inspect.isawaitable(returned) else returned}


def _function(reference: str) -> Callable[..., Any]:
    module_name, _, path = reference.partition(":")
    here = os.getcwd()  # noqa: PTH109  hundreds a second, and a ``Path`` takes as long as that
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = import_module(module_name)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        message = f"{reference} is no function but {type(found).__name__}"
        raise TypeError(message)
    function: Callable[..., Any] = found
    return function


def _takes_context(function: Callable[..., Any]) -> bool:
    # What C tells of a function is a text, and to take that apart takes longer than the function.
    if isinstance(function, BuiltinFunctionType) and "context" not in (_text(function) or ""):
        return False
    try:
        return "context" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some that are written in C say nothing of themselves
        return False


def _text(function: Callable[..., Any]) -> str | None:
    return getattr(function, "__text_signature__", None)


def _awaited(returned: Any) -> Any:
    """In a loop of its own: the cell's thread has one that is running."""

    async def wait() -> Any:
        return await returned

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, wait()).result()
