"""Outputs as events: few, bounded, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.runners.outputs import Outputs, bounded, overwrite

Told = list[tuple[EventType, Mapping[str, Any]]]


def gather(*calls: tuple[str, Any]) -> Told:
    """What is told of these calls, made in one go and then flushed."""
    told: Told = []

    async def make() -> None:
        outputs = Outputs(lambda kind, data: told.append((kind, data)))
        for name, arguments in calls:
            getattr(outputs, name)(*arguments)
        outputs.flush()

    asyncio.run(make())
    return told


def test_text_of_one_stream_is_one_event() -> None:
    """A cell prints a line at a time; a listener needs ten events a second at most."""
    told = gather(("stream", (0, "stdout", "a\n")), ("stream", (0, "stdout", "b\n")))

    assert [data["output"]["text"] for _, data in told] == ["a\nb\n"]


def test_streams_keep_their_order() -> None:
    """Between each other and around other outputs."""
    result = {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}
    told = gather(
        ("stream", (0, "stdout", "a")),
        ("stream", (0, "stderr", "b")),
        ("show", (0, result)),
        ("stream", (0, "stdout", "c")),
    )

    shown = [data["output"].get("text", "x") for _, data in told]
    assert shown == ["a", "b", "x", "c"]
    assert [data["output_number"] for _, data in told] == [1, 2, 3, 4]


def test_long_text_comes_in_pieces_that_lose_nothing() -> None:
    """An event is 16 kB at most."""
    text = "0123456789" * 5000
    told = gather(("stream", (0, "stdout", text)))

    pieces = [data["output"]["text"] for _, data in told]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) == 16 * 1024


def test_of_a_burst_of_progress_only_the_last_is_told() -> None:
    """Each one told is an entry in the journal for ever."""
    steps = [("step", ({"progress": {"fraction": n / 9, "text": ""}},)) for n in range(10)]
    told = gather(*steps)

    assert told == [(EventType.STEP_PROGRESS, {"fraction": 1.0, "text": ""})]


def test_a_large_bundle_is_replaced_by_its_text() -> None:
    """And says how much was left out."""
    data = {"image/png": "x" * 300_000, "text/plain": "<Figure>"}
    shown = bounded({"output_type": "display_data", "data": data, "metadata": {}})

    assert shown["data"] == {"text/plain": "<Figure>"}
    assert shown["metadata"]["opspawn"]["elided_bytes"] > 300_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 %\r2 %\r3 %", "3 %"),
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("kept\n1\r2\nend", "kept\n2\nend"),
        ("1 %\r", "1 %\r"),
        ("plain\n", "plain\n"),
    ],
)
def test_carriage_returns_overwrite_the_line(text: str, expected: str) -> None:
    """The last one may still be followed by something, or by a line's end."""
    assert overwrite(text) == expected


def test_what_a_step_says_of_itself_fits_an_event() -> None:
    """A report of more than a line may hold would keep the worker from telling anything."""
    long = "x" * 100_000
    told = gather(("step", ({"log": {"text": long}},)),
                  ("step", ({"progress": {"fraction": 0.5, "text": long}},)))  # fmt: skip

    assert [len(data["text"]) for _, data in told] == [16 * 1024] * 2
    assert told[1][1]["fraction"] == 0.5
