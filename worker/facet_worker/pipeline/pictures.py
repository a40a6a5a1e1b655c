"""An image set: a folder of pictures or a Parquet file, in an order that does not depend on the file system, every content once."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.pipeline.settings import ImagesSection
from facet_worker.pipeline.troubles import Troubles
from facet_worker.upright import rgb

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
TWICE = "The picture is there before under another name, and counts once"
UNREADABLE = "The file is no whole picture in a format that is read (PNG, JPEG, WebP, GIF)"
GONE = "The file cannot be read from the disk"
DAMAGED = "A part of the Parquet file is damaged"
HUGE = "The picture has more pixels than are unpacked"


@dataclass(frozen=True)
class Picture:
    """One content of the set: `read` gives the file's bytes; `text` is what is said of it."""

    name: str
    sha256: str
    read: Callable[[], bytes]
    text: str = ""


def upright(data: bytes) -> Image.Image:
    """RGB, turned as its EXIF says, transparency laid on white; of an animation the first frame. Throws `unreadable_image` or `too_large`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                return rgb(opened)
    except Image.DecompressionBombError:
        raise FacetError(f"{HUGE}.", "too_large", fix="Save it smaller.") from None
    except MemoryError:
        raise
    except Exception as error:
        raise FacetError(f"{UNREADABLE}.", "unreadable_image") from error


def pixels_of(data: bytes) -> Pixels:
    """See `upright`; uint8 [height, width, 3]."""
    return np.asarray(upright(data))


def _natural(path: str) -> list[tuple[int, int, str]]:
    """`2.jpg` before `10.jpg`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", path) if part]


def _read(path: Path) -> bytes:
    """Throws `unreadable_image` where the file system refuses."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FacetError(f"{GONE}.", "unreadable_image", fix="Check the disk and the file's rights.") from error


def _of_folder(folder: Path, captions: bool, troubles: Troubles) -> Iterator[Picture]:
    files = [path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file()]
    for path in sorted(files, key=lambda path: _natural(path.relative_to(folder).as_posix())):
        name, beside = path.relative_to(folder).as_posix(), path.with_suffix(".txt")
        try:
            digest = hashlib.sha256(_read(path)).hexdigest()
            text = _read(beside).decode("utf-8", "replace").strip() if captions and beside.is_file() else ""
        except FacetError:
            troubles.add(GONE, name)
            continue
        yield Picture(name, digest, partial(_read, path), text)


class _Rows:
    """A Parquet file's pictures, of which one row group is held at a time: `image` of {bytes, path}, or a bundle's `bytes` and `source`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise FacetError(
                f"{path.name} is no Parquet file with a column `image`.", "file_invalid", fix="Its values are {bytes, path}."
            ) from error
        self._names = self.file.schema_arrow.names
        self._struct = "image" in self._names
        if self._struct:
            kind = self.file.schema_arrow.field("image").type
            if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
                raise FacetError(f"The column `image` of {path.name} holds no {{bytes, path}}.", "file_invalid")
        elif "bytes" not in self._names:
            raise FacetError(f"{path.name} has no column `image`.", "file_invalid", fix="Its values are {bytes, path}.")
        self._held: tuple[int, Any] = (-1, None)

    def __reduce__(self) -> tuple[type[_Rows], tuple[Path]]:
        """Another process opens the file itself."""
        return _Rows, (self.path,)

    def bytes_of(self, group: int, row: int) -> bytes:
        if self._held[0] != group:
            column = "image" if self._struct else "bytes"
            self._held = group, self.file.read_row_group(group, [column]).column(column)
        value = self._held[1][row].as_py() or b""
        return bytes(value.get("bytes") or b"") if isinstance(value, dict) else bytes(value)

    def pictures(self, captions: bool, troubles: Troubles) -> Iterator[Picture]:
        wanted = [name for name in ("image",) if self._struct] or [name for name in ("bytes", "source") if name in self._names]
        if captions and "caption" in self._names:
            wanted.append("caption")
        for group in range(self.file.num_row_groups):
            try:
                rows = self.file.read_row_group(group, wanted).to_pylist()
            except (OSError, pa.ArrowException):
                troubles.add(DAMAGED, f"row group {group}", times=self.file.metadata.row_group(group).num_rows)
                continue
            for row, found in enumerate(rows):
                value = (found["image"] or {}) if self._struct else {"bytes": found["bytes"], "path": found.get("source")}
                name = value.get("path") or f"row {group}.{row}"
                digest = hashlib.sha256(value.get("bytes") or b"").hexdigest()
                yield Picture(name, digest, partial(self.bytes_of, group, row), (found.get("caption") or "").strip())


def read_set(section: ImagesSection, path: Path, troubles: Troubles) -> list[Picture]:
    """Every content of a set once, in natural order of names (a Parquet file's in its own); what came before is counted in `troubles`.

    Raises
    ------
    FacetError : `not_found`, or `file_invalid` for a set without a picture.
    """
    if not path.exists():
        raise FacetError(f"There is no image set {path}.", "not_found", fix="Name a folder of pictures or a Parquet file.")
    every = _of_folder(path, section.captions, troubles) if path.is_dir() else _Rows(path).pictures(section.captions, troubles)
    found: dict[str, Picture] = {}
    for picture in every:
        if picture.sha256 in found:
            troubles.add(TWICE, picture.name)
            continue
        found[picture.sha256] = picture
        if section.limit and len(found) == section.limit:
            break
    if not found:
        raise FacetError(f"The image set {path} holds no picture.", "file_invalid", fix=f"Put files of {', '.join(sorted(ENDINGS))} there.")
    return list(found.values())


def set_sha256(pictures: list[Picture]) -> str:
    """Of contents and texts, in order; names do not matter."""
    return hashlib.sha256("".join(f"{p.sha256} {hashlib.sha256(p.text.encode()).hexdigest()}\n" for p in pictures).encode()).hexdigest()
