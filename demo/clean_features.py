"""Features that stand for one class: of their ten top images, nine or more show that class where they fire most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from demo.claims import Truth
from demo.classes import CLASSES
from demo.world import Scene
from facet_worker.codes import Codes

TOP = 10
PURITY = 0.9


@dataclass(frozen=True)
class Clean:
    """A feature with the class of its top images and the share of them that show it."""

    feature: int
    cls: int
    purity: float


def image_scores(codes: Codes, chunk: int = 64) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean over the grid, zeros included, and peak of every feature on every image, both float32 [N, L]."""
    mean = np.zeros((codes.images, codes.num_latents), np.float32)
    peak = np.zeros_like(mean)
    for start in range(0, codes.images, chunk):
        indices = codes.image_indices[start : start + chunk].astype(np.int64)
        values = codes.image_values[start : start + chunk].astype(np.float32)
        dense = np.zeros((*indices.shape[:2], codes.num_latents), np.float32)
        np.put_along_axis(dense, indices, values, 2)
        mean[start : start + chunk], peak[start : start + chunk] = dense.mean(1), dense.max(1)
    return mean, peak


def peak_cell(codes: Codes, image: int, feature: int) -> int:
    """The cell of an image on which a feature fires most."""
    where = codes.image_indices[image] == feature
    return int(np.where(where, codes.image_values[image].astype(np.float32), 0).max(1).argmax())


def clean_features(codes: Codes, scenes: list[Scene], score: npt.NDArray[np.float32]) -> list[Clean]:
    """Every feature whose ten images of highest score agree on a class."""
    truths: dict[int, Truth] = {}
    out = []
    top = np.argsort(-score, axis=0, kind="stable")[:TOP]
    for feature in np.flatnonzero((score > 0).sum(0) >= TOP):
        shown = Counter[int]()
        for image in top[:, feature].tolist():
            if image not in truths:
                truths[image] = Truth(scenes[image])
            shown[truths[image].class_at(peak_cell(codes, image, int(feature)))] += 1
        cls, count = shown.most_common(1)[0]
        if cls >= 0 and count >= PURITY * TOP:
            out.append(Clean(int(feature), cls, count / TOP))
    return out


def coverage(codes: Codes, scenes: list[Scene]) -> dict[str, Any]:
    """How many classes have a feature of their own, ranking images by mean (as the catalogue does) and by peak."""
    mean, peak = image_scores(codes)
    out: dict[str, Any] = {"classes": len(CLASSES), "images": codes.images}
    for name, score in (("mean", mean), ("peak", peak)):
        found = clean_features(codes, scenes, score)
        covered = {c.cls for c in found}
        out[name] = {
            "clean_features": len(found), "classes_covered": len(covered), "share": len(covered) / len(CLASSES),
            "missing": [c.name for c in CLASSES if c.index not in covered],
        }  # fmt: skip
    return out
