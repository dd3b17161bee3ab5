"""Records to JSON values and back, by their type hints alone.

``decode`` trusts its input: it reads what our own server or journal wrote. What people send is
checked by pydantic at the edge of the server instead (``server/schemas.py``).
"""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

from opspawn_jupyter.model.json_text import encoder

T = TypeVar("T")

#: Raises ``ValueError`` for numbers that JSON lacks.
_text = encoder(allow_nan=False)
#: Most values are of these; the whole history passes through here, so that counts.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def encode(value: Any) -> Any:
    """The value as JSON: records become objects, times ISO 8601 strings, enums their values."""
    cls: Any = type(value)  # mypy holds that a class cannot be hashed
    return value if cls in _PLAIN else _encoder(cls)(value)


def to_json(value: Any) -> str:
    """The value as JSON text for browsers and programs of any language. Numbers that JSON lacks
    (NaN, infinities) become null."""
    encoded = encode(value)
    try:
        return _text(encoded)
    except ValueError:
        return _text(_finite(encoded))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode(cls: type[T], value: Mapping[str, Any]) -> T:
    """A record of ``cls`` from its JSON object. Keys that ``cls`` lacks are passed over, so that
    an older client can read a newer server.

    The record is made as ``changed`` makes one. Raises ``TypeError`` where a value that must be
    there is not.
    """
    record: Any = cls  # mypy holds that a generic class cannot be hashed
    made: T = object.__new__(cls)
    held = vars(made)
    form = _form(record)
    if value.keys() != form.defaults.keys():  # mostly they are all there
        held.update(form.defaults)
        for name, make in form.makers:
            if name not in value:
                held[name] = make()
        value = {name: item for name, item in value.items() if name in form.defaults}
    held.update(value)
    for name, read in form.readers:
        if (item := value.get(name)) is not None:
            held[name] = read(item)
    return made


@cache
def _encoder(cls: Any) -> Callable[[Any], Any]:
    """How values of the class are encoded: found out once."""
    if is_dataclass(cls):
        return partial(_object, tuple(field.name for field in fields(cls)))
    if issubclass(cls, Enum):
        return operator.attrgetter("_value_")  # ``value`` is a property, and slow
    if issubclass(cls, datetime):
        return lambda value: value.isoformat()
    if issubclass(cls, Mapping):
        return lambda value: {
            str(key): item if type(item) in _PLAIN else encode(item) for key, item in value.items()
        }
    if issubclass(cls, (list, tuple)):
        return lambda value: [item if type(item) in _PLAIN else encode(item) for item in value]
    return lambda value: value


def _object(names: tuple[str, ...], record: Any) -> dict[str, Any]:
    held = vars(record)
    return {name: item if type(item := held[name]) in _PLAIN else encode(item) for name in names}


#: Makes a field's value of its JSON; None where that is the value.
_Reader: TypeAlias = Callable[[Any], Any] | None


class _Form(typing.NamedTuple):
    """How records of a class are read."""

    #: What each field is where nothing is said of it; None of those that are made then.
    defaults: Mapping[str, Any]
    makers: Sequence[tuple[str, Callable[[], Any]]]
    #: Of the fields that are not as their JSON.
    readers: Sequence[tuple[str, Callable[[Any], Any]]]


@cache
def _form(cls: Any) -> _Form:
    """The type hints are looked up once."""
    hints = typing.get_type_hints(cls)
    readers = {one.name: _reader_of_some(hints[one.name]) for one in fields(cls)}
    return _Form(
        {one.name: None if one.default is MISSING else one.default for one in fields(cls)},
        [(one.name, _maker(cls, one)) for one in fields(cls) if one.default is MISSING],
        [(name, read) for name, read in readers.items() if read],
    )


def _maker(cls: Any, item: Field[Any]) -> Callable[[], Any]:
    if item.default_factory is not MISSING:
        return item.default_factory
    return partial(_missing, f"{cls.__name__} needs {item.name!r}")


def _missing(message: str) -> Any:
    raise TypeError(message)


def _reader(hint: Any) -> _Reader:
    read = _reader_of_some(hint)
    return read and (lambda value: None if value is None else read(value))


def _reader_of_some(hint: Any) -> _Reader:
    """Likewise, for a value that is there."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return _reader_of_some(options[0]) if len(options) == 1 else None
    if origin is tuple:
        read = _reader(typing.get_args(hint)[0])
        return (lambda value: tuple(map(read, value))) if read else tuple
    if isinstance(hint, type) and is_dataclass(hint):
        return partial(decode, hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        return lambda value: members.get(value) or hint(value)  # to call it takes long
    return datetime.fromisoformat if hint is datetime else None
