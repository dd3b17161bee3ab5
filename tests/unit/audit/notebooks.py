"""Notebooks made by hand, with every type of output."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

Notebook = dict[str, Any]

TABLE = (
    "<style>.x{}</style><table><tr><th></th><th>a</th></tr>"
    "<tr><th>0</th><td>1.5</td></tr><tr><th>1</th><td>2.5</td></tr></table>"
)


def picture(*, spot: int = 0, scale: int = 1, turned: bool = False) -> str:
    """A gradient as PNG in base64; ``spot`` pixels wide and high of it are black. It may be drawn
    larger, or upside down."""
    pixels = np.tile(np.linspace(80, 255, 160, dtype="uint8"), (120, 1))
    pixels = np.stack([pixels] * 3, axis=2)
    pixels[40 : 40 + spot, 40 : 40 + spot] = 0
    pixels = np.kron(pixels[::-1, ::-1] if turned else pixels, np.ones((scale, scale, 1), "uint8"))
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def code(source: str, *outputs: dict[str, Any], count: int = 1) -> dict[str, Any]:
    """A code cell that ran."""
    return {
        "cell_type": "code",
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
        "metadata": {"opspawn": {"state": "success"}},
    }


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    """What a cell printed."""
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    """What a cell displayed, by MIME type with ``_`` for the slash."""
    bundle = {mime.replace("_", "/"): content for mime, content in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def notebook() -> Notebook:
    """One output of every type, one in each cell."""
    cells = [
        code("print('hello world')", stream("hello world\n")),
        code("mean", display(text_plain="0.123456789")),
        code("frame", display(text_html=TABLE, text_plain="   a\n0  1.5\n1  2.5")),
        code("plot()", display(image_png=picture(), text_plain="<Figure size 432x288>")),
        code("spec", display(application_json={"mark": "bar", "n": [1, 2.5]})),
        code("1 + 1", display(text_plain="2")),
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def plot(*, shift: int = 0, margin: int = 0, points: int = 9) -> str:
    """A white picture with dots and a frame as PNG in base64: drawn some pixels to the right, with
    a margin, or with fewer dots."""
    pixels = np.full((120, 160, 3), 255, dtype="uint8")
    pixels[10:110, 20:21] = pixels[109:110, 20:140] = 0
    for number in range(points):
        x = 30 + 12 * number + shift
        pixels[20 + 9 * number : 25 + 9 * number, x : x + 5] = (31, 119, 180)
    pixels = np.pad(pixels, ((0, margin), (margin, 0), (0, 0)), constant_values=255)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def labelled(*, letter: int | None = 40, lighter: int = 0) -> str:
    """A large gradient with one letter, as PNG in base64: there, elsewhere or not at all, and all
    of it a little lighter."""
    pixels = np.tile(np.linspace(80, 240, 320, dtype="uint8"), (240, 1))
    pixels = np.stack([pixels] * 3, axis=2) + np.uint8(lighter)
    if letter is not None:
        pixels[100:108, letter : letter + 5] = 0
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()
