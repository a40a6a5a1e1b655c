"""Every activation in the files of the paper's tools: `<hook>/<first>_<last>.safetensors`, each with some features of all pictures.

`locations` int64 [N, 3] are picture, position in the grid and feature, in this order; `activations` float32 [N]. A pass goes picture by picture and the files go
feature by feature, so each shard keeps its activations sorted by feature and a file is put together from a stretch of every shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save_file

from facet_worker.pipeline.files import written

SPLIT = 1024
LEAST = 1e-5  # what the paper's tools keep is above it
Array = npt.NDArray[Any]
_COLUMNS = ("picture", "place", "feature", "value")


@dataclass
class Activations:
    """One by one: `picture`, `place`, `feature` and float32 `value` [n]."""

    picture: Array
    place: Array
    feature: Array
    value: Array

    @classmethod
    def of_codes(cls, items: Array, indices: Array, values: Array) -> Activations:
        """From codes [B, places, k] of pictures [B]."""
        row, place, column = np.nonzero(values > LEAST)
        return cls(
            items[row].astype(np.int32), place.astype(np.int32), indices[row, place, column].astype(np.int32),
            values[row, place, column].astype(np.float32),
        )  # fmt: skip


def save_sorted(parts: Sequence[Activations], latents: int, path: Path) -> None:
    """A shard's activations in order of feature, with where each file's stretch begins."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, np.int32)]) for name in _COLUMNS}
    order = np.lexsort((columns["place"], columns["picture"], columns["feature"]))
    arrays = {name: np.ascontiguousarray(column[order]) for name, column in columns.items()}
    arrays["start"] = np.searchsorted(arrays["feature"], np.arange(0, latents + SPLIT, SPLIT))
    save_file(arrays, path)


def write_files(shards: Sequence[Path], latents: int, folder: Path) -> list[Path]:
    """The files of one hook into `folder`, from shards in order of their pictures; what one file takes is in memory at a time."""
    made = []
    starts = []
    for path in shards:
        with safe_open(path, "numpy") as file:
            starts.append(file.get_tensor("start"))
    for number, first in enumerate(range(0, latents, SPLIT)):
        parts: dict[str, list[Array]] = {name: [] for name in _COLUMNS}
        for path, start in zip(shards, starts, strict=True):
            with safe_open(path, "numpy") as file:
                for name, column in parts.items():
                    column.append(file.get_slice(name)[int(start[number]) : int(start[number + 1])])
        whole = {name: np.concatenate(column) for name, column in parts.items()}
        order = np.lexsort((whole["feature"], whole["place"], whole["picture"]))
        locations = np.stack([whole[name][order].astype(np.int64) for name in ("picture", "place", "feature")], 1)
        target = folder / f"{first}_{min(first + SPLIT, latents) - 1}.safetensors"
        with written(target) as part:
            save_file({"locations": np.ascontiguousarray(locations), "activations": np.ascontiguousarray(whole["value"][order])}, part)
        made.append(target)
    return made
