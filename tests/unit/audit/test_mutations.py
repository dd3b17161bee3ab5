"""One change by hand in a stored notebook: exactly that cell is different, whatever was changed.

The comparator is the heart of an audit; one that is too kind says "reproduced" of what is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opspawn_jupyter.audit.comparison import Executions, compare
from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.model.audit import Sameness
from tests.unit.audit.notebooks import (
    TABLE,
    Notebook,
    code,
    display,
    labelled,
    notebook,
    picture,
    plot,
    stream,
)

Change = Callable[[list[Any]], None]


def verdicts(stored: Notebook, control: Notebook, again: Notebook | None = None) -> list[Sameness]:
    """The class of each cell."""
    executions = Executions(stored=stored, control=control, perturbed=again)
    return [cell.stored or Sameness.IDENTICAL for cell in compare(executions, Rules())]


def _word(cells: list[Any]) -> None:
    cells[0]["outputs"][0]["text"] = "hello word\n"


def _float(cells: list[Any]) -> None:
    cells[1]["outputs"][0]["data"]["text/plain"] = "0.123466789"


def _table_cell(cells: list[Any]) -> None:
    data = cells[2]["outputs"][0]["data"]
    data["text/html"] = TABLE.replace("2.5", "2.6")


def _pixel_block(cells: list[Any]) -> None:
    cells[3]["outputs"][0]["data"]["image/png"] = picture(spot=8)


def _json_value(cells: list[Any]) -> None:
    cells[4]["outputs"][0]["data"]["application/json"]["n"][1] = 2.6


def _count(cells: list[Any]) -> None:
    cells[5]["outputs"][0]["data"]["text/plain"] = "3"


def _missing(cells: list[Any]) -> None:
    cells[0]["outputs"] = []


CHANGES: list[tuple[int, Change]] = [
    (0, _word), (1, _float), (2, _table_cell), (3, _pixel_block), (4, _json_value), (5, _count),
    (0, _missing),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "change"), CHANGES, ids=lambda value: getattr(value, "__name__", "")
)
def test_exactly_the_changed_cell_is_different(place: int, change: Change) -> None:
    stored = notebook()
    change(stored["cells"])

    found = verdicts(stored, notebook())

    assert [index for index, one in enumerate(found) if one is Sameness.DIFFERENT] == [place]


def test_an_unchanged_notebook_is_identical_throughout() -> None:
    assert set(verdicts(notebook(), notebook())) == {Sameness.IDENTICAL}


@pytest.mark.parametrize(
    ("stored", "fresh", "expected"),
    [
        ("0.30000000000000004", "0.3000000000000000", Sameness.TOLERANCE),
        ("\x1b[31mred\x1b[0m", "red", Sameness.NORMALISED),
        ("10%\r100%", "100%", Sameness.NORMALISED),
        ("[1, 2,   3]", "[1, 2, 3]", Sameness.NORMALISED),
        ("{'b', 'a'}", "{'a', 'b'}", Sameness.REPRESENTATION),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", Sameness.REPRESENTATION),
        ("{'args': (x,), 'op': sin}", "{'op': sin, 'args': (x,)}", Sameness.REPRESENTATION),
        ("{'a': 1, 'b': 2}", "{'b': 1, 'a': 2}", Sameness.DIFFERENT),
        ("a 1\ndtype: object", "a 1\ndtype: str", Sameness.REPRESENTATION),
        ("Int64Index([2, 3])", "Index([2, 3])", Sameness.REPRESENTATION),
        ("<matplotlib.axes._subplots.AxesSubplot at 0x114cd4190>", "<Axes: xlabel='Date'>",
         Sameness.REPRESENTATION),
        ("[<matplotlib.axes._subplots.AxesSubplot object at 0x114cd4190>]",
         "[<Axes: title={'center': 'Rain'}>]", Sameness.REPRESENTATION),
        ("<Axes: xlabel='Date'>", "<Axes: xlabel='Day'>", Sameness.DIFFERENT),
        ("<AxesSubplot:xlabel='Date', ylabel='x y'>", "<AxesSubplot: xlabel='Date', ylabel='x y'>",
         Sameness.REPRESENTATION),
        ("<AxesSubplot:xlabel='Date'>", "<AxesSubplot: xlabel='Day'>", Sameness.DIFFERENT),
        ("PeriodIndex(['2018'], dtype='period[M]', name='d', freq='M')",
         "PeriodIndex(['2018'], dtype='period[M]', name='d')", Sameness.REPRESENTATION),
        ("Int64Index([2, 3], dtype='int64')", "Index([2, 3], dtype='int32')",
         Sameness.REPRESENTATION),
        ("Index([2, 3], dtype='int64')", "Index([2, 3], dtype='int32')", Sameness.DIFFERENT),
        ("a 1\nFreq: M, dtype: float64", "a 1\nFreq: ME, dtype: float64",
         Sameness.REPRESENTATION),
        ("a 1\nFreq: D, dtype: float64", "a 1\nFreq: M, dtype: float64", Sameness.DIFFERENT),
        ("('Al', 25, 55.)", "np.void(('Al', 25, 55.0), dtype=[('n', '<U10')])",
         Sameness.REPRESENTATION),
        ("(2.5, True)", "(np.float64(2.5), np.True_)", Sameness.REPRESENTATION),
        ("[1. 2. 3.]", "[1 2 3]", Sameness.TOLERANCE),
        ("<a.B object at 0x7f0012345678>", "<a.B object at 0x7f9912345678>", Sameness.VOLATILE),
        ("done in 3.2 s", "done in 4.1 s", Sameness.VOLATILE),
        ("10 loops, best of 3: 28.2 ms per loop", "7.1 ms ± 1 ms per loop (mean ± std. dev.)",
         Sameness.NOT_COMPARED),
        ("Wall time: 3.2 s", "Wall time: 4.1 s", Sameness.NOT_COMPARED),
        ("['b', 'a']", "['a', 'b']", Sameness.DIFFERENT),
        ("1000000", "1000001", Sameness.DIFFERENT),
        ("accuracy 0.91", "accuracy 0.92", Sameness.DIFFERENT),
        ("nan 1.0", "nan 1.0", Sameness.IDENTICAL),
        ("home court", "home-court", Sameness.DIFFERENT),
    ],
)  # fmt: skip
def test_text_is_compared_by_what_it_means(stored: str, fresh: str, expected: Sameness) -> None:
    """Each class has its own meaning in the report, so each must be reached, and no lower one."""
    left = {"cells": [code("x", stream(stored))]}
    right = {"cells": [code("x", stream(fresh))]}

    assert verdicts(left, right) == [expected]


def test_noise_that_two_fresh_runs_share_is_none() -> None:
    """A result of "3.2 s" that a calculation gives every time is a result, not a timing."""
    stored = {"cells": [code("x", stream("period: 4.1 s\n"))]}
    fresh = {"cells": [code("x", stream("period: 3.2 s\n"))]}

    assert verdicts(stored, fresh, fresh) == [Sameness.DIFFERENT]


def test_a_date_in_data_is_compared_once_two_runs_agree_on_it() -> None:
    stored = {"cells": [code("x", stream("first: 2020-01-02 10:00:00\n"))]}
    fresh = {"cells": [code("x", stream("first: 2020-01-01 10:00:00\n"))]}

    assert verdicts(stored, fresh, fresh) == [Sameness.DIFFERENT]


def test_warnings_are_listed_and_decide_nothing() -> None:
    """Versions of libraries warn of other things; a result stands beside them."""
    stored = {"cells": [code("x", stream("old warning", "stderr"), stream("42\n"))]}
    fresh = {"cells": [code("x", stream("42\n"))]}

    assert verdicts(stored, fresh) == [Sameness.VOLATILE]


def test_a_warning_is_never_taken_for_an_older_result() -> None:
    """What is displayed now and was not before stands for itself, and so does the warning."""
    stored = {"cells": [code("x", stream("old warning", "stderr"))]}
    fresh = {"cells": [code("x", display(text_plain="8784"))]}

    parts = compare(Executions(stored=stored, control=fresh), Rules())[0].parts

    assert {part.kind: part.sameness for part in parts} == {
        "stderr": Sameness.VOLATILE,
        "text/plain": Sameness.DIFFERENT,
    }


def test_a_picture_that_became_text_is_different() -> None:
    """The name of the figure is common to both, and says nothing of what it shows."""
    stored = {"cells": [code("x", display(image_png=picture(), text_plain="<Figure size 1x1>"))]}
    fresh = {"cells": [code("x", display(text_plain="<Figure size 1x1>"))]}

    assert verdicts(stored, fresh) == [Sameness.DIFFERENT]


def test_pictures_within_tolerance_are_the_same() -> None:
    import base64
    import io

    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture()))), dtype=int)
    target = io.BytesIO()
    Image.fromarray((pixels - 1).astype("uint8")).save(target, "PNG")
    shifted = base64.b64encode(target.getvalue()).decode()

    left = {"cells": [code("x", display(image_png=picture()))]}
    right = {"cells": [code("x", display(image_png=shifted))]}

    assert verdicts(left, right) == [Sameness.TOLERANCE]


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        ({"shift": 1}, Sameness.REPRESENTATION),
        ({"margin": 3}, Sameness.REPRESENTATION),
        ({"shift": 3}, Sameness.DIFFERENT),
        ({"points": 8}, Sameness.DIFFERENT),
        ({"points": 8, "margin": 3}, Sameness.NOT_COMPARED),
    ],
)
def test_a_picture_may_be_drawn_a_pixel_off_and_nothing_may_be_lost(
    fresh: dict[str, int], expected: Sameness
) -> None:
    """Other versions of a library set letters and lines a pixel away; a dot less is a result."""
    left = {"cells": [code("x", display(image_png=plot()))]}
    right = {"cells": [code("x", display(image_png=plot(**fresh)))]}

    assert verdicts(left, right) == [expected]


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        ({"lighter": 3, "letter": 42}, Sameness.NOT_COMPARED),
        ({"lighter": 3, "letter": 45}, Sameness.DIFFERENT),
        ({"lighter": 3, "letter": None}, Sameness.DIFFERENT),
        ({"letter": 42}, Sameness.DIFFERENT),
    ],
)
def test_a_letter_two_pixels_away_is_not_judged_where_all_was_drawn_anew(
    fresh: dict[str, int | None], expected: Sameness
) -> None:
    """Another version's letters move; where nothing else changed, somebody moved it."""
    left = {"cells": [code("x", display(image_png=labelled()))]}
    right = {"cells": [code("x", display(image_png=labelled(**fresh)))]}

    assert verdicts(left, right) == [expected]


def test_a_few_pixels_changed_by_hand_are_seen() -> None:
    """Over the whole picture, and over a block of it, two by two pixels hardly count."""
    left = {"cells": [code("x", display(image_png=picture(spot=2)))]}
    right = {"cells": [code("x", display(image_png=picture()))]}

    assert verdicts(left, right) == [Sameness.DIFFERENT]


def test_the_same_picture_in_another_size_counts_neither_for_nor_against() -> None:
    """A new version of a plotting library draws everything larger; that is no other result, and
    no proof of the same one. Another picture is another, whatever its size."""
    redrawn = {"cells": [code("x", display(image_png=picture(spot=30, scale=2)))]}
    stored = {"cells": [code("x", display(image_png=picture(spot=30)))]}
    replaced = {"cells": [code("x", display(image_png=picture(spot=60, scale=2, turned=True)))]}

    assert verdicts(stored, redrawn) == [Sameness.NOT_COMPARED]
    assert verdicts(stored, replaced) == [Sameness.DIFFERENT]


def test_a_formula_that_is_set_in_another_size_is_the_same_formula() -> None:
    """SymPy's pictures change with every version of what sets them."""
    small = display(image_png=picture(), text_latex="$$\\left (x + 1\\right )$$")
    large = display(image_png=picture(scale=2), text_latex="$\\displaystyle \\left(x + 1\\right)$")
    other = display(image_png=picture(scale=2), text_latex="$\\displaystyle x + 2$")

    stored = {"cells": [code("x", small)]}

    assert verdicts(stored, {"cells": [code("x", large)]}) == [Sameness.REPRESENTATION]
    assert verdicts(stored, {"cells": [code("x", other)]}) == [Sameness.DIFFERENT]


def test_charts_of_megabytes_are_compared_in_no_time() -> None:
    """A pattern that looks to the end of the line from each of its places took hours for one."""
    data = '{"a": "b/c/d",' * 10_000
    html = "<div id='x'></div><script>{}</script>"
    outputs = [(html.format(data + tail), data + tail) for tail in ("1", "2")]
    left, right = (
        {"cells": [code("x", display(text_html=one), stream(plain))]} for one, plain in outputs
    )

    assert verdicts(left, right) == [Sameness.DIFFERENT]


def test_a_tagged_cell_is_not_compared_and_says_why() -> None:
    """nbval's users keep their tags; an exemption is listed, never silent."""
    stored = notebook()
    stored["cells"][0]["metadata"]["tags"] = ["nbval-ignore-output"]
    _word(stored["cells"])

    cells = compare(Executions(stored=stored, control=notebook()), Rules())

    assert (cells[0].stored, cells[0].exemption) == (
        Sameness.NOT_COMPARED,
        "tag nbval-ignore-output",
    )


def test_help_that_a_page_showed_is_not_held_against_an_execution() -> None:
    """JupyterLab keeps it; whoever prints something beside it, or asks nothing, is compared."""
    kept = display(text_plain="Signature: f(x)")
    pairs = [("import f\nf??", []), ("?f", []), ("f", []), ("f?", [stream("new\n")])]
    stored = {"cells": [code(source, kept) for source, _ in pairs]}
    control = {"cells": [code(source, *outputs) for source, outputs in pairs]}

    assert verdicts(stored, control) == [
        Sameness.NOT_COMPARED,
        Sameness.NOT_COMPARED,
        Sameness.DIFFERENT,
        Sameness.DIFFERENT,
    ]
