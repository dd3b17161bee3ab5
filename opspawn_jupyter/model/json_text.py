"""JSON text of values, from encoders that are made once.

``json`` makes its encoder in C anew for each value, which takes twice as long as to encode a small
record. What is used of it here is not documented; where it is missing ``json`` does all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder as _json
from typing import Any, TypeAlias

#: Gives a value as JSON text. Raises ``TypeError`` for what is none, ``ValueError`` for numbers
#: that JSON lacks, where these are not allowed.
Encode: TypeAlias = Callable[[Any], str]

#: Gives a string as ``encoder(ensure_ascii=False)`` would, in a quarter of the time.
quoted: Callable[[str], str] = _json.encode_basestring

_make_encoder = getattr(_json, "c_make_encoder", None)


def encoder(*, ensure_ascii: bool = True, allow_nan: bool = True, spaces: bool = True) -> Encode:
    """As ``json.dumps`` with these options; ``spaces`` follow commas and colons."""
    comma, colon = (", ", ": ") if spaces else (",", ":")
    plain = json.JSONEncoder(
        ensure_ascii=ensure_ascii, allow_nan=allow_nan, separators=(comma, colon)
    )
    if _make_encoder is None:
        return plain.encode
    quote = _json.encode_basestring_ascii if ensure_ascii else _json.encode_basestring
    pieces = _make_encoder(None, plain.default, quote, None, colon, comma, False, False, allow_nan)
    return lambda value: "".join(pieces(value, 0))
