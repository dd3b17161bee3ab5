"""Charts that a script draws in the browser, compared by what they are drawn from.

Altair and plotly write the whole chart as JSON into the script, or give it as a display of its
own: data, what stands for what, titles. Another version of the library writes another set of
looks; the data stay.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from opspawn_jupyter.audit import documents
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.text import Compared
from opspawn_jupyter.model.audit import Sameness, worst

_CHART = re.compile(r"^application/vnd\.(vega|vegalite|plotly)\.v\d+\+json$")
_OPENING = re.compile(r"[\[{](?=\s*[\"{\[\]}])")
#: A value that is shorter is an option of the script's, not what it draws.
_SHORTEST = 40
_MOST_VALUES = 50
#: Each place that looks like JSON and is none may cost a reading of all that follows.
_MOST_TRIES = 500
_DATA_NAME = re.compile(r"\bdata-[0-9a-f]{16,}\b")
#: Members of plotly's traces that carry what is drawn.
_TRACE = (
    "type",
    "x",
    "y",
    "z",
    "values",
    "labels",
    "text",
    "lat",
    "lon",
    "locations",
    "r",
    "theta",
)
#: Members of Altair's charts that carry what is drawn.
_TABLES = ("datasets", "values")
#: Members that a version of the library fills with its own looks.
_LOOKS = frozenset({"config", "template", "usermeta"})
_KINDS = {"f8": "d", "f4": "f", "i4": "i", "u4": "I", "i2": "h", "u2": "H", "i1": "b", "u1": "B"}
_UNSEEN = "the data are the same; how the chart looks is told for another version of its library"


def is_chart(kind: str) -> bool:
    """The MIME type is a chart's, of whatever version."""
    return bool(_CHART.match(kind))


def family(kind: str) -> str:
    """``vegalite``, ``plotly``, …: the same for every version."""
    match = _CHART.match(kind)
    return match[1] if match else ""


def embedded(html: str) -> list[Any]:
    """The JSON values that scripts carry, the largest of what is nested."""
    return list(islice(_values(html), _MOST_VALUES))


def compare_embedded(stored: str, fresh: str, rules: Rules) -> Compared | None:
    """Two pages of HTML by what their scripts draw; None where neither can be told from it."""
    left, right = ([one for one in embedded(html) if _is_told(one)] for html in (stored, fresh))
    if not left or len(left) != len(right):
        return None
    return compare(left, right, rules)


def compare(stored: Sequence[Any], fresh: Sequence[Any], rules: Rules) -> Compared:
    """Two charts, as the values that they are drawn from."""
    left, right = ([_renamed(one) for one in several] for several in (stored, fresh))
    whole = documents.compare(left, right, rules)
    if whole.sameness is not Sameness.DIFFERENT:
        return Compared(sameness=worst([whole.sameness, Sameness.NORMALISED]), notes=whole.notes)
    data = documents.compare(_data(left), _data(right), rules)
    if data.sameness is Sameness.DIFFERENT or _version(left) == _version(right) != "":
        return whole if data.sameness is not Sameness.DIFFERENT else data
    bare = documents.compare(_without_looks(left), _without_looks(right), rules)
    if bare.sameness is not Sameness.DIFFERENT:
        note = "only looks that the library sets by itself are others"
        return Compared(sameness=worst([bare.sameness, Sameness.REPRESENTATION]), notes=(note,))
    if not _version(left) and not _version(right):
        return bare
    return Compared(sameness=Sameness.NOT_COMPARED, notes=(_UNSEEN, *bare.notes))


def _values(html: str) -> Iterator[Any]:
    decoder, place = json.JSONDecoder(), 0
    for _ in range(_MOST_TRIES):
        match = _OPENING.search(html, place)
        if match is None:
            return
        try:
            value, end = decoder.raw_decode(html, match.start())
        except (ValueError, RecursionError):
            place = match.end()
            continue
        if end - match.start() >= _SHORTEST:
            yield value
        place = end


def _is_told(value: Any) -> bool:
    """Whether the value is a chart's, or a part of one: what else a script carries is its own."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) and "type" in one for one in value)
    return isinstance(value, dict) and bool(
        {"$schema", "template", "xaxis", "mark", "layer", "hconcat", "vconcat"} & value.keys()
    )


def _renamed(chart: Any) -> Any:
    """The chart with its tables named by their order: Altair makes a name from what is in it."""
    written = json.dumps(chart)
    for number, name in enumerate(dict.fromkeys(_DATA_NAME.findall(written))):
        written = written.replace(name, f"data {number}")
    return _plain(json.loads(written))


def _plain(value: Any) -> Any:
    """The value with numbers as numbers."""
    if isinstance(value, Mapping):
        if isinstance(value.get("bdata"), str) and value.get("dtype") in _KINDS:
            return _numbers(value)
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _numbers(value: Mapping[str, Any]) -> Any:
    """plotly since its version 6 packs numbers."""
    try:
        packed = base64.b64decode(value["bdata"], validate=True)
        return [number for (number,) in struct.iter_unpack(f"<{_KINDS[value['dtype']]}", packed)]
    except (binascii.Error, struct.error):
        return dict(value)


def _data(value: Any) -> list[Any]:
    """What is drawn: tables that come with the chart, and traces."""
    if isinstance(value, list):
        return [one for item in value for one in _data(item)]
    if not isinstance(value, Mapping):
        return []
    if "type" in value and any(name in value for name in _TRACE[1:]):
        return [{name: value[name] for name in _TRACE if name in value}]
    own = [value[name] for name in _TABLES if name in value]
    rest = [one for name, one in sorted(value.items()) if name not in _TABLES]
    return own + [found for one in rest for found in _data(one)]


def _version(value: Any) -> str:
    """The version of the language that the chart is told in; empty where it is not said."""
    if isinstance(value, list):
        return next((found for found in map(_version, value) if found), "")
    return str(value.get("$schema", "")) if isinstance(value, Mapping) else ""


def _without_looks(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: one for name, one in value.items() if name not in _LOOKS}
        return {name: _without_looks(one) for name, one in kept.items() if name != "$schema"}
    return [_without_looks(one) for one in value] if isinstance(value, list) else value
