"""Blocking work that a thread does for all who ask in the same turn of the event loop.

To hand one thing to a thread and to hear of its end takes longer than to write a small file. Where
hundreds ask at once, as the steps of a workflow do, a thread is handed several things, and the loop
is told of all of them in one go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")

#: What one thread is handed: on a slow disk, several threads are quicker.
_MOST = 25


class _Errand(NamedTuple):
    work: Callable[[], Any]
    answer: asyncio.Future[Any]


#: Those of this turn, by event loop.
_asked: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Errand]] = WeakKeyDictionary()


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work comes to, as with ``asyncio.to_thread``. Context variables are the thread's."""
    loop = asyncio.get_running_loop()
    errand = _Errand(partial(work, *args, **kwargs), loop.create_future())
    if loop in _asked:
        _asked[loop].append(errand)
    else:
        _asked[loop] = [errand]
        loop.call_soon(_hand_over, loop)
    found: T = await errand.answer
    return found


def _hand_over(loop: asyncio.AbstractEventLoop) -> None:
    errands = _asked.pop(loop)
    for place in range(0, len(errands), _MOST):
        some = errands[place : place + _MOST]
        try:
            loop.run_in_executor(None, _do, loop, some)
        except RuntimeError as failure:  # the process is about to end
            _tell([(errand, failure) for errand in some])


def _do(loop: asyncio.AbstractEventLoop, errands: Sequence[_Errand]) -> None:
    done = [(errand, _outcome(errand)) for errand in errands]
    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(_tell, done)


class _Value(NamedTuple):
    value: Any


def _outcome(errand: _Errand) -> _Value | BaseException:
    try:
        return _Value(errand.work())
    except BaseException as failure:  # whatever it is, it is for whoever asked
        return failure


def _tell(done: Sequence[tuple[_Errand, _Value | BaseException]]) -> None:
    for errand, outcome in done:
        if errand.answer.done():
            continue  # whoever asked has gone away
        if isinstance(outcome, _Value):
            errand.answer.set_result(outcome.value)
        else:
            errand.answer.set_exception(outcome)
