"""Pictures compared by their pixels: over the whole, and block by block.

The mean over the whole picture alone would let a small change pass, a perceptual hash two plots
of different data. Needs Pillow and numpy, from the extra ``audit``.
"""

from __future__ import annotations

import base64
import binascii
import io
from itertools import product
from typing import Any

from opspawn_jupyter.audit.rules import Rules
from opspawn_jupyter.audit.text import Compared
from opspawn_jupyter.model.audit import Sameness

#: Another version of a library sets letters and lines up to so many pixels away. What then still
#: stands out, by how much of 255 and in how many pixels, is no matter of drawing any more.
_REACH = 1
_STANDS_OUT = 64
_MOST_STRAY = 3
_FARTHEST_STRAY = 100
#: Where the whole picture was drawn anew, single letters stand farther away. How far, how few of
#: the pixels they may be, and in how many of the picture's sixteen fields something is to differ.
_FAR = 3
_FEW = 0.001
_FIELDS = 4
_LEAST_FIELDS = 8
#: Pictures are cut to what is on them, so another font makes them a little larger or smaller.
_MOST_CUT = 6
#: How the note on a picture of another size begins.
OTHER_SIZE = "the picture's size of"
_BLOCK = 8
#: A picture that would not fit into memory several times is not decoded.
_MOST_PIXELS = 50_000_000
#: Two pictures of another size that may still show the same: how far their proportions, and the
#: correlation of what they show, may be apart.
_MOST_STRETCHED = 0.3
_LEAST_LIKENESS = 0.6
_SMALL = 96
_NOT_READ = Compared(sameness=Sameness.DIFFERENT, notes=("a picture cannot be read",))


def compare(stored: str, fresh: str, rules: Rules) -> Compared:
    """Two pictures in base64."""
    left, right = _bytes(stored), _bytes(fresh)
    if left is not None and left == right:
        return Compared(sameness=Sameness.IDENTICAL)
    one, other = _pixels(left), _pixels(right)
    if one is None or other is None:
        return _NOT_READ
    if one.shape != other.shape:
        return _cut_otherwise(one, other) or _of_other_size(one, other)
    return _by_pixels(one, other, rules)


def difference(stored: str, fresh: str) -> str | None:
    """A picture (PNG, base64) of where the two differ; None where they cannot be laid over each
    other."""
    from PIL import Image

    one, other = _pixels(_bytes(stored)), _pixels(_bytes(fresh))
    if one is None or other is None or one.shape != other.shape:
        return None
    import numpy as np

    changed = np.abs(one - other).max(axis=2)
    faded = 255 - (255 - other.mean(axis=2)) * 0.25
    shown = np.stack([faded, faded, faded], axis=2)
    shown[changed > 0] = (200, 0, 60)
    target = io.BytesIO()
    Image.fromarray(shown.astype("uint8")).save(target, "PNG", optimize=True)
    return base64.b64encode(target.getvalue()).decode()


def _of_other_size(one: Any, other: Any) -> Compared:
    """Another version of a library, or another resolution, draws the same picture in another size.
    Its pixels cannot be laid over each other: where it looks alike, that is said, and it counts
    neither for nor against."""
    sizes = " became ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (one, other))
    note = f"{OTHER_SIZE} {sizes} pixels"
    ratio = (one.shape[0] / one.shape[1]) / (other.shape[0] / other.shape[1])
    if abs(ratio - 1) > _MOST_STRETCHED or _likeness(one, other) < _LEAST_LIKENESS:
        return Compared(sameness=Sameness.DIFFERENT, notes=(note,))
    alike = "it looks alike, but drawn in another size its pixels cannot be compared"
    return Compared(sameness=Sameness.NOT_COMPARED, notes=(note, alike))


def _likeness(one: Any, other: Any) -> float:
    """How alike two pictures are when both are small and blurred: their correlation, at most 1."""
    import numpy as np

    small = [_small(image) for image in (one, other)]
    centred = [image - image.mean() for image in small]
    spread = float(np.prod([np.sqrt((image**2).sum()) for image in centred]))
    return float((centred[0] * centred[1]).sum()) / spread if spread else 0.0


def _small(image: Any) -> Any:
    import numpy as np
    from PIL import Image, ImageFilter

    grey = Image.fromarray(image.astype("uint8")).convert("L").resize((_SMALL, _SMALL))
    return np.asarray(grey.filter(ImageFilter.GaussianBlur(2)), dtype=float)


def _by_pixels(one: Any, other: Any, rules: Rules) -> Compared:
    import numpy as np

    delta = one - other
    rms = float(np.sqrt(np.mean(delta**2)))
    if rms == 0:
        return Compared(sameness=Sameness.NORMALISED)
    block = _worst_block(np.abs(delta).max(axis=2))
    share = float(np.mean(np.abs(delta).max(axis=2) > 0))
    note = f"{share:.2%} of the pixels differ, RMS {rms:.2f}, worst block {block:.0f} of 255"
    is_close = rms <= rules.image and block <= rules.image_block
    # Whoever widens the tolerance wants no other eye.
    if is_close and rules.image > Rules.image:
        return Compared(sameness=Sameness.TOLERANCE, notes=(note,))
    if _stand_out(one, other):
        moved = _only_moved(one, other, note)
        return moved or Compared(sameness=Sameness.DIFFERENT, notes=(note,))
    if is_close:
        return Compared(sameness=Sameness.TOLERANCE, notes=(note,))
    said = f"drawn otherwise: nothing is more than {_REACH} pixel off"
    return Compared(sameness=Sameness.REPRESENTATION, notes=(said, note))


def _only_moved(one: Any, other: Any, note: str) -> Compared | None:
    """Drawn anew all over, and some letters stand a little farther away: that alone says nothing
    for or against. None where more than that is to be seen."""
    import numpy as np

    strays = np.maximum(_beyond(one, other), _beyond(other, one)) > _STANDS_OUT
    differs = (one != other).any(axis=2)
    height, width = (side // _FIELDS for side in differs.shape)
    cut = differs[: height * _FIELDS, : width * _FIELDS]
    fields = cut.reshape(_FIELDS, height, _FIELDS, width).any(axis=(1, 3))
    if strays.mean() > _FEW or fields.sum() < _LEAST_FIELDS or _stand_out(one, other, _FAR):
        return None
    said = f"drawn anew, and up to {_FAR} pixels off: it looks alike, and that is not judged"
    return Compared(sameness=Sameness.NOT_COMPARED, notes=(said, note))


def _stand_out(one: Any, other: Any, reach: int = _REACH) -> bool:
    """Whether either shows something that the other has nowhere near: each pixel is held against
    the lightest and the darkest around the same place in the other."""
    import numpy as np

    strays = np.concatenate(
        [_beyond(one, other, reach).ravel(), _beyond(other, one, reach).ravel()]
    )
    count = int((strays > _STANDS_OUT).sum())
    return count > _MOST_STRAY or bool(strays.max() > _FARTHEST_STRAY)


def _beyond(shown: Any, other: Any, reach: int = _REACH) -> Any:
    """How far each pixel is from what lies around its place in the other picture."""
    import numpy as np

    padded = np.pad(other, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = shown.shape[:2]
    lowest = highest = padded[:height, :width]
    for y, x in product(range(2 * reach + 1), repeat=2):
        around = padded[y : y + height, x : x + width]
        lowest, highest = np.minimum(lowest, around), np.maximum(highest, around)
    return np.maximum(lowest - shown, shown - highest).max(axis=2)


def _cut_otherwise(one: Any, other: Any) -> Compared | None:
    """Two pictures that are the same but for a margin; None where they are not."""
    import numpy as np

    height, width = (max(pair) for pair in zip(one.shape[:2], other.shape[:2], strict=True))
    gaps = [(height - image.shape[0], width - image.shape[1]) for image in (one, other)]
    if max(max(gap) for gap in gaps) > _MOST_CUT:
        return None
    placed = [
        (left, right) for left in _placements(one, gaps[0]) for right in _placements(other, gaps[1])
    ]
    left, right = min(placed, key=lambda pair: float(np.abs(pair[0] - pair[1]).mean()))
    if _stand_out(left, right):
        return None
    note = f"cut otherwise, and nothing is more than {_REACH} pixel off"
    return Compared(sameness=Sameness.REPRESENTATION, notes=(note,))


def _placements(image: Any, gap: tuple[int, int]) -> list[Any]:
    """The picture on a larger white sheet, at every place that it can have there."""
    import numpy as np

    down, across = gap
    return [
        np.pad(image, ((y, down - y), (x, across - x), (0, 0)), constant_values=255.0)
        for y in range(down + 1)
        for x in range(across + 1)
    ]


def _worst_block(delta: Any) -> float:
    """The largest mean difference of any block, the picture's edge filled up with nothing."""
    import numpy as np

    height, width = (-(-side // _BLOCK) * _BLOCK for side in delta.shape)
    filled = np.zeros((height, width))
    filled[: delta.shape[0], : delta.shape[1]] = delta
    blocks = filled.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return float(blocks.mean(axis=(1, 3)).max())


def _bytes(encoded: str) -> bytes | None:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _pixels(data: bytes | None) -> Any:
    """Height by width by red, green, blue over white; None for what is no picture."""
    import numpy as np
    from PIL import Image

    if data is None:
        return None
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > _MOST_PIXELS:
            return None
        rgba = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"), dtype=float)
