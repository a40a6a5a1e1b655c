"""Score an explanation against exact truth, with the same measurement on random features beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """One row of scores.parquet."""

    index: int
    explanation: str
    metric: str
    value: float | None
    baseline: float | None
    n: int
    failure: str | None
    method: str


def activation_mask(values: npt.NDArray[np.float32], share_of_peak: float) -> Mask:
    """Cells [.., cells] whose activation is positive and at least that share of the map's largest."""
    peak = values.max(-1, keepdims=True)
    mask: Mask = (values > 0) & (values >= share_of_peak * peak)
    return mask


def intersection_over_union(a: Mask, b: Mask) -> npt.NDArray[np.float64]:
    """IoU over the last axis; 0 where both are empty."""
    union = (a | b).sum(-1)
    out: npt.NDArray[np.float64] = np.divide((a & b).sum(-1), union, out=np.zeros(union.shape, np.float64), where=union > 0)
    return out


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share by Wilson's formula; (0, 1) when nothing was tried."""
    if not n:
        return 0.0, 1.0
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
