"""For each feature the M highest-scoring maps of any number that go by; sparse, and the same whatever the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facet_worker.examples import Ints, ragged

Floats = npt.NDArray[np.float64]
# So many waiting rows are sorted in at the least, else every small batch would sort the whole table.
_WAIT = 65_536
_COLUMNS: dict[str, Any] = {
    "feature": np.int64,
    "score": np.float64,
    "item": np.int64,
    "rows": np.int32,
    "cols": np.int32,
    "length": np.int64,
}
_POOLS: dict[str, Any] = {"positions": np.uint16, "values": np.float16}


@dataclass
class Maps:
    """Some maps, one row each: `feature`, `score`, `item`, grid of `rows` × `cols`, and `length` entries of `positions` and `values`."""

    feature: Ints
    score: Floats
    item: Ints
    rows: npt.NDArray[np.int32]
    cols: npt.NDArray[np.int32]
    length: Ints
    positions: npt.NDArray[np.uint16]
    values: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.feature)

    @property
    def start(self) -> Ints:
        return np.cumsum(self.length, dtype=np.int64) - self.length

    def take(self, rows: npt.NDArray[Any]) -> Maps:
        """Some rows, in the order given."""
        where = ragged(self.start[rows], self.length[rows])
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Maps(**columns, positions=self.positions[where], values=self.values[where])

    @classmethod
    def join(cls, parts: list[Maps]) -> Maps:
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in (*_COLUMNS, *_POOLS)})

    @classmethod
    def none(cls) -> Maps:
        return cls(**{name: np.zeros(0, kind) for name, kind in {**_COLUMNS, **_POOLS}.items()})

    @property
    def nbytes(self) -> int:
        return sum(int(getattr(self, name).nbytes) for name in (*_COLUMNS, *_POOLS))


class Kept:
    """The `keep` best of each of L features: by score, equal scores by the smaller item number."""

    def __init__(self, latents: int, keep: int) -> None:
        self.latents, self.keep = latents, keep
        self.table = Maps.none()
        self.waiting: list[Maps] = []
        self.floor = np.full(latents, -np.inf)

    def offer(self, maps: Maps) -> None:
        """Maps of items that were not offered before."""
        # What equals the floor may still win by its item number.
        able = np.flatnonzero(maps.score >= self.floor[maps.feature])
        if len(able):
            self.waiting.append(maps if len(able) == len(maps) else maps.take(able))
        rows, entries = sum(map(len, self.waiting)), sum(len(m.positions) for m in self.waiting)
        if rows > max(_WAIT, len(self.table)) or entries > max(8 * _WAIT, len(self.table.positions)):
            self.settle()

    def settle(self) -> Maps:
        """Sorts in what waits; answers the table, in order of feature and then best first."""
        if not self.waiting:
            return self.table
        all_maps = Maps.join([self.table, *self.waiting])
        self.waiting = []
        order = np.lexsort((all_maps.item, -all_maps.score, all_maps.feature))
        feature = all_maps.feature[order]
        rank = np.arange(len(order)) - np.searchsorted(feature, feature)
        self.table = all_maps.take(order[rank < self.keep])
        last = rank == self.keep - 1
        self.floor[feature[last]] = all_maps.score[order[last]]
        return self.table

    def merge(self, other: Kept) -> None:
        """Takes in another's, of other items."""
        self.offer(other.settle())
        self.settle()

    @property
    def nbytes(self) -> int:
        return self.table.nbytes + sum(m.nbytes for m in self.waiting) + int(self.floor.nbytes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As plain arrays."""
        table = self.settle()
        return {name: getattr(table, name) for name in (*_COLUMNS, *_POOLS)}

    @classmethod
    def of_arrays(cls, latents: int, keep: int, arrays: dict[str, npt.NDArray[Any]]) -> Kept:
        found = cls(latents, keep)
        found.offer(Maps(**{name: arrays[name] for name in (*_COLUMNS, *_POOLS)}))
        found.settle()
        return found
