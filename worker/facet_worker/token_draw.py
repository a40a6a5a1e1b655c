"""A random draw of tokens with what is active on each, for co-activation; the same whatever the order in which tokens come."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from facet_worker.examples import Ints, ragged

Floats = npt.NDArray[np.float64]
Drawn = tuple[Floats, Ints, npt.NDArray[np.int32]]


def lottery(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A fixed random number in 0..1 for each pair of numbers; no generator's state, so the order in which they come changes nothing."""
    with np.errstate(over="ignore"):
        x = a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + b.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)).astype(np.float64) / 2**53)


class TokenDraw:
    """The `keep` tokens that drew the highest numbers: `draw` [n], how many features are active on each `length` [n], and those one after another."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.table: Drawn = (np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int32))
        self.waiting: list[Drawn] = []
        self.floor = -1.0

    def add(self, items: Ints, kind: int, indices: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Tokens [B, T] of items [B] with their codes [B, T, k]; `kind` 0 image, 1 text."""
        if not self.keep or not indices.size:
            return
        shape = indices.shape[:2]
        draw = lottery(np.broadcast_to(items[:, None], shape), np.broadcast_to(np.arange(shape[1])[None] * 2 + kind, shape))
        row, place = np.nonzero(draw > self.floor)
        active = values[row, place].astype(np.float16) > 0
        self.waiting.append((draw[row, place], active.sum(1), indices[row, place][active].astype(np.int32)))
        if sum(len(part[0]) for part in self.waiting) > self.keep:
            self.settle()

    def settle(self) -> Drawn:
        """Sorts in what waits; answers draws, lengths and features, the highest draw first."""
        if self.waiting:
            draw, length, features = (np.concatenate([part[i] for part in (self.table, *self.waiting)]) for i in range(3))
            self.waiting = []
            order = np.argsort(-draw, kind="stable")[: self.keep]
            start = np.cumsum(length) - length
            self.table = draw[order], length[order], features[ragged(start[order], length[order])]
            if len(order) == self.keep:
                self.floor = float(self.table[0][-1])
        return self.table

    def merge(self, other: TokenDraw) -> None:
        """Takes in the draw of other tokens."""
        self.waiting.append(other.settle())
        self.settle()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As plain arrays."""
        return dict(zip(("draw", "length", "features"), self.settle(), strict=True))

    @classmethod
    def of_arrays(cls, keep: int, arrays: dict[str, npt.NDArray[Any]]) -> TokenDraw:
        found = cls(keep)
        found.waiting.append((arrays["draw"], arrays["length"], arrays["features"]))
        found.settle()
        return found
