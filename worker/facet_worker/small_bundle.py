"""A bundle of a few plain pictures and features, for tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facet_worker.bundle import BundleImage, DictionaryPart, write_bundle
from facet_worker.cache import Example, FeatureCache, FeatureStats
from facet_worker.explain import Explanation
from facet_worker.score import Score

HOOK = "model.layers.1"
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "purple", "orange", "pink", "brown", "gray", "navy")
DEAD, SILENT = 3, 4
"""Features that fire never, and on texts only."""


def picture(number: int, side: int = 32) -> Image.Image:
    """One colour, with a corner that is of that number alone."""
    found = Image.new("RGB", (side, side), COLOURS[number % len(COLOURS)])
    found.putpixel((side - 1, side - 1), (number, number, number))
    return found


def encoded(number: int) -> BundleImage:
    file = io.BytesIO()
    picture(number).save(file, "PNG")
    return BundleImage(hashlib.sha256(file.getvalue()).hexdigest(), file.getvalue(), "image/png", 32, 32, None, None)


def example(item: int, cells: Sequence[int], height: float) -> Example:
    """A map on a grid of 4 × 4."""
    values = np.full(len(cells), height, np.float16)
    return Example(item, np.array(cells, np.uint16), values, 16, height, height * len(cells) / 16)


def write_small_bundle(
    folder: Path, explanations: Sequence[Explanation] = (), scores: Sequence[Score] = (), broken: Sequence[int] = (), features: int = 5,
    images: int = 24,
) -> list[str]:  # fmt: skip
    """Feature f fires on pictures 5f … 5f + 4, in the left column or (odd ones) the right, at heights 5 … 1; answers the pictures' hashes.

    `broken` pictures are no pictures. Feature `SILENT` has no picture at all, `DEAD` never fires; the pictures behind the others' show nothing to anyone.
    """
    pictures = [encoded(n) for n in range(images)]
    for n in broken:
        data = b"no picture %d" % n
        pictures[n] = BundleImage(hashlib.sha256(data).hexdigest(), data, "image/png", 32, 32, None, None)
    alive = np.arange(features) != DEAD
    zero, counts = np.zeros(features), np.where(alive & (np.arange(features) != SILENT), 5, 0)
    stats = FeatureStats(
        zero, zero, np.where(alive, 5.0, 0), zero, np.ones(features), counts, counts * 4, ~alive, ~alive & alive, ~alive & alive,
        np.zeros((features, 32), np.int64),
    )  # fmt: skip
    examples: list[dict[str, list[Example]]] = []
    for f in range(features):
        column = [0, 4, 8, 12] if f % 2 == 0 else [3, 7, 11, 15]
        on = [example(5 * f + i, column, 5.0 - i) for i in range(5)] if counts[f] else []
        examples.append({"top": on, "upper": [], "middle": [], "lower": [], "random": on[1:3], "text": []})
    about = {"id": HOOK, "hook": HOOK, "layer": 1, "num_latents": features, "sha256": "d" * 64}
    part = DictionaryPart(about, FeatureCache(stats, examples), list(explanations), list(scores), [], [])
    model = {"id": "small", "name": "Small", "sha256": "0" * 64, "image_size": 32, "grid": {"rows": 4, "cols": 4}}
    write_bundle(folder, model, None, pictures, [], [part], {"command": "test", "seed": 0, "versions": {}, "date": "2026-01-01"})
    return [p.sha256 for p in pictures]
