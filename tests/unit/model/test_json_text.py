"""JSON text from encoders that are made once."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from opspawn_jupyter.model import json_text

OPTIONS: list[dict[str, bool]] = [
    {"ensure_ascii": ensure_ascii, "allow_nan": allow_nan, "spaces": spaces}
    for ensure_ascii in (True, False)
    for allow_nan in (True, False)
    for spaces in (True, False)
]
VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 0.1, 1e300, "", 'ä\u2028\ud800\n"\\', [], {}, (1, 2),
    {"a": [{"b": None}, "c"], "d": {}, "ü": 1.5}, {1: 2, None: 3, False: 4},
]  # fmt: skip


@pytest.fixture(params=[True, False], ids=["in C", "in Python"])
def _ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python is not bound to have may be missing."""
    if not request.param:
        monkeypatch.setattr(json_text, "_make_encoder", None)


@pytest.mark.usefixtures("_ways")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_says_what_json_says(options: dict[str, bool]) -> None:
    """Hashes of events are made of it: a byte more or less, and no journal can be read."""
    encode = json_text.encoder(**options)
    given = {name: value for name, value in options.items() if name != "spaces"}
    separators = None if options["spaces"] else (",", ":")

    for value in VALUES:
        assert encode(value) == json.dumps(value, separators=separators, **given)  # type: ignore[arg-type]  # names of flags


@pytest.mark.usefixtures("_ways")
def test_what_is_no_json_is_refused() -> None:
    """It would be written, and found out by whoever reads it."""
    encode = json_text.encoder(allow_nan=False)

    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            encode({"x": [number]})
    with pytest.raises(TypeError):
        encode({"x": object()})
    assert json_text.encoder()([math.nan]) == "[NaN]"
