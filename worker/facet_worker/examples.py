"""Stored maps of all features as columns: a few arrays, however many features, and one feature's examples by its index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

BANDS = ("top", "upper", "middle", "lower", "random", "text")
Ints = npt.NDArray[np.int64]
Bands = dict[str, "list[Example]"]


@dataclass
class Example:
    """One stored map: `item` is the image's (or text's) number, positions and values are sparse, mean is over all positions.

    `grid` is its rows and columns, whose product is `size`; None where the model has one grid for all.
    """

    item: int
    positions: np.ndarray  # uint16
    values: np.ndarray  # float16
    size: int
    peak: float
    mean: float
    grid: tuple[int, int] | None = None


def ragged(starts: Ints, lengths: Ints) -> Ints:
    """Indices of the concatenation of stretches [start, start + length)."""
    if not len(lengths):
        return np.zeros(0, np.int64)
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]), dtype=np.int64)


class Examples(Sequence[Bands]):
    """By feature, its examples by band. Reads like a list of dictionaries, of which only the one asked for is made.

    Attributes
    ----------
    columns : `feature`, `band` (an index into BANDS), `rank`, `item`, `rows`, `cols`, `peak`, `mean`, `length`, one row an example, in order of feature,
        band and rank (`rows` is 0 where the grid is the model's); `positions` uint16 and `values` float16 of all examples, one after another
    """

    def __init__(self, num_latents: int, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self.num_latents, self.columns = num_latents, dict(columns)
        self.first = np.searchsorted(columns["feature"], np.arange(num_latents + 1))
        self.start = np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)])

    def __len__(self) -> int:
        return self.num_latents

    def row(self, row: int) -> Example:
        """The example of a row of the columns."""
        c = self.columns
        part = slice(int(self.start[row]), int(self.start[row + 1]))
        rows, cols = int(c["rows"][row]), int(c["cols"][row])
        return Example(
            int(c["item"][row]), c["positions"][part], c["values"][part], (rows or 1) * cols, float(c["peak"][row]), float(c["mean"][row]), (rows, cols) if rows else None
        )  # fmt: skip

    def _one(self, feature: int) -> Bands:
        if not -self.num_latents <= feature < self.num_latents:
            raise IndexError(feature)
        feature %= self.num_latents
        out: Bands = {band: [] for band in BANDS}
        for row in range(int(self.first[feature]), int(self.first[feature + 1])):
            out[BANDS[int(self.columns["band"][row])]].append(self.row(row))
        return out

    @overload
    def __getitem__(self, feature: int) -> Bands: ...
    @overload
    def __getitem__(self, feature: slice) -> list[Bands]: ...
    def __getitem__(self, feature: int | slice) -> Bands | list[Bands]:
        if isinstance(feature, slice):
            return [self._one(i) for i in range(*feature.indices(self.num_latents))]
        return self._one(feature)

    def __iter__(self) -> Iterator[Bands]:
        return (self._one(feature) for feature in range(self.num_latents))

    @classmethod
    def of(cls, lists: Sequence[Mapping[str, Sequence[Example]]]) -> Examples:
        """From dictionaries, as tests make them."""
        if isinstance(lists, Examples):
            return lists
        rows = [
            (f, BANDS.index(band), rank, e) for f, bands in enumerate(lists) for band in BANDS for rank, e in enumerate(bands.get(band, ()))
        ]
        grids = [e.grid or (0, e.size) for _, _, _, e in rows]
        plain: dict[str, Any] = {
            "feature": [f for f, _, _, _ in rows], "band": [b for _, b, _, _ in rows], "rank": [r for _, _, r, _ in rows],
            "item": [e.item for *_, e in rows], "rows": [g[0] for g in grids], "cols": [g[1] for g in grids],
            "length": [len(e.positions) for *_, e in rows],
        }  # fmt: skip
        columns: dict[str, npt.NDArray[Any]] = {name: np.array(column, np.int64) for name, column in plain.items()}
        columns |= {name: np.array([getattr(e, name) for *_, e in rows], np.float64) for name in ("peak", "mean")}
        for name, kind in (("positions", np.uint16), ("values", np.float16)):
            columns[name] = np.concatenate([getattr(e, name) for *_, e in rows] or [np.zeros(0)]).astype(kind)
        return cls(len(lists), columns)
