"""TopK codes of an image set on disk, so that no statistic has to hold them in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facet_worker.errors import FacetError

Index = npt.NDArray[np.uint16]
Value = npt.NDArray[np.float16]


@dataclass
class Codes:
    """What a dictionary says about every token of an image set; memory-mapped.

    Attributes
    ----------
    image_indices, image_values : uint16, float16 [N, cells, k], row-major cells
    text_indices, text_values : uint16, float16 [M, k], tokens behind the images, text after text
    text_start : int64 [T + 1], where text t begins in them
    lead_indices, lead_values : uint16, float16 [lead, k], the template tokens before the image, alike for every image
    """

    image_indices: Index
    image_values: Value
    text_indices: Index
    text_values: Value
    text_start: npt.NDArray[np.int64]
    lead_indices: Index
    lead_values: Value
    num_latents: int

    @property
    def images(self) -> int:
        return int(self.image_indices.shape[0])

    @property
    def cells(self) -> int:
        return int(self.image_indices.shape[1])

    def maps(self, image: int, features: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Dense maps float32 [F, cells] of some features on one image."""
        dense = np.zeros((self.cells, self.num_latents), np.float32)
        np.put_along_axis(dense, self.image_indices[image].astype(np.int64), self.image_values[image].astype(np.float32), 1)
        return dense[:, features].T

    def chunks(self, size: int = 16_384) -> Iterator[tuple[Index, Value]]:
        """All tokens, image then text, as [n, k] pieces."""
        k = self.image_indices.shape[2]
        flat = self.image_indices.reshape(-1, k), self.image_values.reshape(-1, k)
        for indices, values in (flat, (self.text_indices, self.text_values)):
            for start in range(0, len(indices), size):
                yield indices[start : start + size], values[start : start + size]


class CodesWriter:
    """Write codes batch by batch; a finished folder holds `codes.json`."""

    def __init__(self, folder: Path, images: int, cells: int, k: int, num_latents: int) -> None:
        if num_latents > 65_536:
            raise FacetError("Codes are stored with 16-bit indices: at most 65,536 latents.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "codes.json").unlink(missing_ok=True)
        self.folder, self.num_latents = folder, num_latents
        shape = (images, cells, k)
        self.indices = np.lib.format.open_memmap(folder / "image_indices.npy", "w+", np.uint16, shape)
        self.values = np.lib.format.open_memmap(folder / "image_values.npy", "w+", np.float16, shape)
        self.text: list[tuple[Index, Value]] = []
        self.starts = [0]
        self.row = 0

    def images(self, indices: Index, values: Value) -> None:
        """Append images [B, cells, k]."""
        self.indices[self.row : self.row + len(indices)] = indices
        self.values[self.row : self.row + len(indices)] = values
        self.row += len(indices)

    def add_text(self, indices: Index, values: Value) -> None:
        """Append one text [length, k]."""
        self.text.append((indices, values))
        self.starts.append(self.starts[-1] + len(indices))

    def close(self, lead_indices: Index, lead_values: Value) -> None:
        """Write the rest; an error when fewer images came than were announced."""
        if self.row != len(self.indices):
            raise FacetError(f"{self.row} images came where {len(self.indices)} were announced.")
        self.indices.flush()
        self.values.flush()
        k = self.indices.shape[2]
        empty = [(np.zeros((0, k), np.uint16), np.zeros((0, k), np.float16))]
        np.save(self.folder / "text_indices.npy", np.concatenate([i for i, _ in self.text or empty]))
        np.save(self.folder / "text_values.npy", np.concatenate([v for _, v in self.text or empty]))
        np.save(self.folder / "text_start.npy", np.array(self.starts, np.int64))
        np.save(self.folder / "lead_indices.npy", lead_indices)
        np.save(self.folder / "lead_values.npy", lead_values)
        (self.folder / "codes.json").write_text(json.dumps({"num_latents": self.num_latents}))


def open_codes(folder: Path) -> Codes:
    """Map a finished folder."""
    if not (folder / "codes.json").is_file():
        raise FacetError(f"The folder {folder.name!r} holds no finished codes.")
    names = ("image_indices", "image_values", "text_indices", "text_values", "text_start", "lead_indices", "lead_values")
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r" if name.startswith("image") else None) for name in names}
    return Codes(**arrays, num_latents=int(json.loads((folder / "codes.json").read_text())["num_latents"]))
