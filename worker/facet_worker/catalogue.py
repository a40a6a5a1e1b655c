"""Read a bundle's pictures and features one at a time, as explaining and scoring need them; memory is that of some row groups."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from facet_worker.errors import FacetError

GROUPS_HELD, PICTURES_HELD = 8, 64
BANDS = ("top", "upper", "middle", "lower", "random")


@dataclass(frozen=True)
class ActivationMap:
    """Where a feature fires on one picture: `values` float32 [rows, cols], raw activation, zero where it does not."""

    image: str
    band: str
    rank: int
    peak: float
    mean: float
    values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureRecord:
    """One feature with its stored pictures by band, best first; `images` says on how many pictures it fires (None: not measured)."""

    index: int
    max_activation: float
    images: int | None
    always_on: bool = False
    maps: dict[str, list[ActivationMap]] = field(default_factory=dict)

    @property
    def top(self) -> list[ActivationMap]:
        return self.maps.get("top", [])

    def shown(self) -> dict[str, ActivationMap]:
        """Every stored picture once, by its hash."""
        out: dict[str, ActivationMap] = {}
        for band in BANDS:
            for found in self.maps.get(band, []):
                out.setdefault(found.image, found)
        return out


def _broken(what: str, fix: str = "Write or export the bundle again.") -> FacetError:
    return FacetError(what, "bundle_invalid", fix=fix)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise _broken(f"{path} is missing or is no Parquet file.") from error


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Throws `bundle_invalid` where a part of the file is not as it was written."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise _broken(f"{path} is damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}.") from error


class Pictures:
    """Pictures by the SHA-256 of their files; safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._file = _open(path)
        self._where: dict[str, tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            with _whole(path):
                hashes = self._file.read_row_group(group, ["sha256"]).column(0).to_pylist()
            self._where |= {sha: (group, row) for row, sha in enumerate(hashes)}
        self.hashes = list(self._where)
        self._held: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._seen: OrderedDict[str, Image.Image] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, sha: str) -> bool:
        return sha in self._where

    def load(self, sha: str) -> Image.Image:
        """RGB. Throws `image_not_found`, or `unreadable_image` for bytes that are no whole picture."""
        if sha not in self._where:
            raise FacetError(f"The bundle has no picture {sha[:12]}….", "image_not_found")
        group, row = self._where[sha]
        with self._lock:
            if sha in self._seen:
                self._seen.move_to_end(sha)
                return self._seen[sha].copy()
            if group not in self._held:
                try:
                    self._held[group] = self._file.read_row_group(group, ["bytes"]).column(0)
                except (OSError, pa.ArrowException) as error:
                    raise FacetError(f"The part of images.parquet with the picture {sha[:12]}… is damaged.", "unreadable_image") from error
                if len(self._held) > GROUPS_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(group)
            data = self._held[group][row].as_py()
        try:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise FacetError(f"The picture {sha[:12]}… cannot be read: {error}.", "unreadable_image") from error
        with self._lock:
            # One feature's pictures are wanted several times in a row, by several explainers and scorers.
            self._seen[sha] = picture
            if len(self._seen) > PICTURES_HELD:
                self._seen.popitem(last=False)
        return picture.copy()


class Catalogue:
    """One dictionary of a bundle."""

    def __init__(self, folder: Path, dictionary: str | None = None) -> None:
        """`dictionary` may be left out where the bundle has one. Throws `bundle_invalid` or `dictionary_not_found`."""
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
            entries = {str(entry["id"]): entry for entry in self.manifest["dictionaries"]}
            self.model_id = str(self.manifest["model"]["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _broken(f"{folder} has no manifest.json of a bundle.", "Name a bundle's folder.") from error
        name = dictionary or (next(iter(entries)) if len(entries) == 1 else None)
        if name not in entries:
            raise FacetError(
                f"{folder} has {', '.join(entries)}{f', not {name}' if name else ''}.", "dictionary_not_found", fix="Name one of them."
            )
        self.entry = entries[name]
        self.dictionary = name
        self.folder = folder / str(self.entry["folder"])
        self.sha256 = str(self.entry["sha256"])
        self.pictures = Pictures(folder / "images.parquet")

    @property
    def content_sha256(self) -> str:
        """Of everything that explaining and scoring read here: pictures, maps and statistics, not what was said of them. Throws `bundle_invalid`."""
        name = self.entry["folder"]
        try:
            files = [
                self.manifest["files"][path]["sha256"]
                for path in ("images.parquet", f"{name}/features.parquet", f"{name}/activations.parquet")
            ]
        except (KeyError, TypeError) as error:
            raise _broken("The bundle's manifest does not name every file with its hash.") from error
        return hashlib.sha256(" ".join(map(str, files)).encode()).hexdigest()

    @property
    def model_sha256(self) -> str | None:
        """Of the weights of the model that the catalogue is of, where the bundle says it."""
        found = self.manifest["model"].get("sha256")
        return None if found is None else str(found)

    @property
    def num_latents(self) -> int:
        return int(self.entry["num_latents"])

    def indices(self, wanted: Collection[int] | None = None) -> list[int]:
        """The wanted features (all, where None) that are alive, ascending."""
        return sorted(self._alive(wanted))

    def _alive(self, wanted: Collection[int] | None) -> dict[int, tuple[float, int | None, bool]]:
        chosen = None if wanted is None else frozenset(wanted)
        columns = ["index", "max_activation", "images", "dead", "always_on"]
        path = self.folder / "features.parquet"
        with _whole(path):
            numbers = _open(path).read(columns).to_pydict()
        return {
            index: (float(most or 0), images, bool(always))
            for index, most, images, dead, always in zip(*(numbers[name] for name in columns), strict=True)
            if not dead and (chosen is None or index in chosen)
        }

    def features(self, wanted: Collection[int] | None = None) -> Iterator[FeatureRecord]:
        """The wanted features (all, where None) that are alive, ascending, each with its maps. Throws `bundle_invalid`."""
        alive = self._alive(wanted)
        maps = self._maps(alive)
        at = next(maps, None)
        for index in sorted(alive):
            most, images, always = alive[index]
            if at is not None and at[0] < index:
                raise _broken(f"{self.folder / 'activations.parquet'} is not in order of its features.")
            own: dict[str, list[ActivationMap]] = {}
            if at is not None and at[0] == index:
                own, at = at[1], next(maps, None)
            yield FeatureRecord(index, most, images, always, own)
        if at is not None:
            raise _broken(f"{self.folder / 'activations.parquet'} is not in order of its features.")

    def _maps(self, alive: Collection[int]) -> Iterator[tuple[int, dict[str, list[ActivationMap]]]]:
        columns = ["index", "band", "rank", "rows", "cols", "peak", "mean", "image", "positions", "values"]
        current: int | None = None
        own: dict[str, list[ActivationMap]] = {}
        indices, bands = pa.array(sorted(alive), pa.int32()), pa.array(BANDS)
        for batch in self._batches(columns):
            mine = pc.and_(pc.is_in(batch["index"].cast(pa.int32()), indices), pc.is_in(batch["band"].cast(pa.string()), bands))
            for row in batch.filter(mine).to_pylist():
                if row["index"] != current:
                    if current is not None:
                        yield current, _ranked(own)
                    current, own = row["index"], {}
                own.setdefault(row["band"], []).append(self._map(row))
        if current is not None:
            yield current, _ranked(own)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        path = self.folder / "activations.parquet"
        with _whole(path):
            yield from _open(path).iter_batches(8192, columns=columns)

    def _map(self, row: dict[str, Any]) -> ActivationMap:
        positions, values = np.frombuffer(row["positions"], "<u2"), np.frombuffer(row["values"], "<f2")
        dense = np.zeros(row["rows"] * row["cols"], np.float32)
        if len(positions) != len(values) or (len(positions) and int(positions.max()) >= len(dense)) or row["image"] not in self.pictures:
            raise _broken(
                f"Feature {row['index']} has a broken map in {self.folder / 'activations.parquet'} ({row['band']} {row['rank']})."
            )
        dense[positions] = values
        grid = dense.reshape(row["rows"], row["cols"])
        return ActivationMap(row["image"], row["band"], row["rank"], float(row["peak"]), float(row["mean"]), grid)


def _ranked(maps: dict[str, list[ActivationMap]]) -> dict[str, list[ActivationMap]]:
    return {band: sorted(found, key=lambda m: m.rank) for band, found in maps.items()}
