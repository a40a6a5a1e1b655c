"""Histograms whose range is not known in advance, that can be added to each other in any order.

Every feature has F fine bins from 0 to 2^e, where 2^e is the smallest power of two that its largest value does not exceed. When a larger one comes, bins are
joined in pairs, which loses nothing: a value's bin at the coarser range is always the one that holds its finer bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 32
_LEAST = -32  # fp16's smallest positive value is 2⁻²⁴
# Fine bins of all features together take at most about 268 MB, and a bin of the result has at least eight.
_MOST_FINE, _CELLS = 2048, 1 << 26


def fine_bins(latents: int) -> int:
    """How many fine bins a feature has: a power of two."""
    fine = _MOST_FINE
    while fine > 512 and fine * latents > _CELLS:
        fine //= 2
    return fine


class Histograms:
    """Of L features' positive float16 values."""

    def __init__(self, latents: int) -> None:
        self.fine = fine_bins(latents)
        self.counts = np.zeros((latents, self.fine), np.uint32)
        self.exponent = np.full(latents, _LEAST, np.int16)

    def _widen(self, exponent: npt.NDArray[np.int16]) -> None:
        """Raises ranges to at least these exponents [L]."""
        by = np.maximum(exponent - self.exponent, 0)
        for step in np.unique(by[by > 0]):
            rows = np.flatnonzero(by == step)
            join = min(1 << int(step), self.fine)
            joined = self.counts[rows].reshape(len(rows), self.fine // join, join).sum(2, dtype=np.uint32)
            self.counts[rows] = 0
            self.counts[rows[:, None], np.arange(self.fine // join)] = joined
        self.exponent = np.maximum(self.exponent, exponent)

    def add(self, features: npt.NDArray[Any], values: npt.NDArray[np.float16]) -> None:
        """Counts values [n] of features [n]."""
        wide = values.astype(np.float32)
        mantissa, exponent = np.frexp(wide)
        exponent = np.where(mantissa == 0.5, exponent - 1, exponent).astype(np.int16)
        most = np.full(len(self.exponent), _LEAST, np.int16)
        np.maximum.at(most, features, exponent)
        self._widen(most)
        scaled = np.ldexp(wide, -self.exponent[features].astype(np.int32)) * self.fine
        place = np.ceil(scaled).astype(np.int64) - 1
        np.add.at(self.counts.reshape(-1), features.astype(np.int64) * self.fine + place, np.uint32(1))

    def merge(self, other: Histograms) -> None:
        """Adds another's counts."""
        self._widen(other.exponent)
        copy = Histograms.__new__(Histograms)
        copy.fine, copy.counts, copy.exponent = other.fine, other.counts.copy(), other.exponent.copy()
        copy._widen(self.exponent)
        self.counts += copy.counts

    def to_bins(self, maximum: npt.NDArray[np.float64], chunk: int = 4096) -> npt.NDArray[np.int64]:
        """Counts int64 [L, 32] in equal bins from 0 to each feature's maximum [L].

        A fine bin goes whole into the bin of its middle, so a value nearer to an edge than 1/16 of a bin (1/64 up to 32,768 features) may be counted beyond it.
        """
        out = np.zeros((len(maximum), BINS), np.int64)
        middles = np.arange(self.fine) + 0.5
        for start in range(0, len(maximum), chunk):
            part = slice(start, start + chunk)
            width = np.ldexp(1.0, self.exponent[part].astype(np.int32)) / self.fine
            scale = np.where(maximum[part] > 0, BINS / np.maximum(maximum[part], 1e-30), 0.0) * width
            place = np.minimum((scale[:, None] * middles).astype(np.int64), BINS - 1)
            row, column = np.nonzero(self.counts[part])
            np.add.at(out[part], (row, place[row, column]), self.counts[part][row, column])
        return out
