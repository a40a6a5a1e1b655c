"""An image set of which the disk or a damaged file gives a part only: that part is counted, and the rest is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.pipeline.pictures import DAMAGED, GONE, pixels_of, read_set
from facet_worker.pipeline.settings import ImagesSection
from facet_worker.pipeline.troubles import Troubles


def png(number: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_a_file_that_the_disk_does_not_give_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    whole = Path.read_bytes

    def refusing(path: Path) -> bytes:
        if path.name == "1.png":
            raise OSError(5, "Input/output error")
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    troubles = Troubles()
    found = read_set(ImagesSection(path="x"), tmp_path, troubles)
    assert [picture.name for picture in found] == ["0.png", "2.png", "3.png"]
    assert troubles.to_json() == [{"cause": GONE, "count": 1, "examples": ["1.png"]}]
    # One that goes while the set is worked on is no more than a picture that cannot be read.
    (tmp_path / "3.png").unlink()
    with pytest.raises(FacetError) as refused:
        found[2].read()
    assert refused.value.code == "unreadable_image"


def _encoded(picture: Image.Image, kind: str, **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **more)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_odd_pictures_are_read_as_they_look(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = np.full((8, 16, 3), 255, np.uint8)
    wide[:, 8:] = 0
    ramp = np.linspace(0, 65_535, 64).reshape(8, 8)
    two = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    odd = {
        "turned.jpg": _encoded(Image.fromarray(wide), "JPEG", exif=exif, quality=95),
        "cmyk.jpg": _encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
        "deep.png": _encoded(Image.fromarray(ramp.astype(np.uint16)), "PNG"),
        "palette.png": _encoded(Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4), "PNG"),
        "grey.png": _encoded(Image.new("L", (8, 8), 77), "PNG"),
        "clear.png": _encoded(Image.new("LA", (8, 8), (0, 0)), "PNG"),
        "moving.gif": _encoded(two[0], "GIF", save_all=True, append_images=two[1:]),
        "moving.webp": _encoded(two[0], "WEBP", save_all=True, append_images=two[1:], lossless=True),
        "dot.png": _encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"),
        "line.png": _encoded(Image.new("RGB", (500, 1), (1, 2, 3)), "PNG"),
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "text.jpg": b"no picture",
        "cut.png": png(7)[:300],
        "nothing.webp": b"",
        "huge.png": b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 65_000, 65_000, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"")),
    }
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    troubles = Troubles()
    found = {picture.name: picture for picture in read_set(ImagesSection(path="x"), tmp_path, troubles)}
    assert found.keys() == odd.keys()
    assert not troubles
    seen: dict[str, Any] = {}
    for name, picture in found.items():
        try:
            seen[name] = pixels_of(picture.read())
        except FacetError as error:
            seen[name] = error.code
    wrong = {name: code for name, code in seen.items() if isinstance(code, str)}
    assert wrong == {
        **dict.fromkeys(["drawing.png", "text.jpg", "cut.png", "nothing.webp"], "unreadable_image"), "huge.png": "too_large",
    }  # fmt: skip
    assert seen["turned.jpg"].shape == (16, 8, 3)
    assert seen["turned.jpg"][:6].min() > 200
    assert seen["turned.jpg"][10:].max() < 50
    np.testing.assert_array_equal(seen["deep.png"], np.rint(ramp.astype(np.uint16) / 257)[..., None].repeat(3, 2))
    colours = {name: pixels[0, 0].tolist() for name, pixels in seen.items() if name not in wrong}
    assert colours["cmyk.jpg"][0] > 200 > 60 > max(colours["cmyk.jpg"][1:])
    assert (colours["palette.png"], colours["grey.png"], colours["clear.png"]) == ([10, 200, 30], [77] * 3, [255] * 3)
    assert colours["moving.gif"] == colours["moving.webp"] == [255, 0, 0]
    assert (seen["dot.png"].shape, seen["line.png"].shape) == ((1, 1, 3), (1, 500, 3))


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    rows = [{"bytes": png(number), "path": f"{number}.png"} for number in range(9)]
    pq.write_table(pa.table({"image": rows}), file, row_group_size=3, compression="none", use_dictionary=False, write_page_checksum=False)
    place = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(file.read_bytes())
    data[place : place + 24] = b"\xff" * 24
    file.write_bytes(data)
    troubles = Troubles()
    found = read_set(ImagesSection(path="x"), file, troubles)
    assert [picture.name for picture in found] == [f"{number}.png" for number in (0, 1, 2, 6, 7, 8)]
    assert [picture.read() for picture in found] == [png(number) for number in (0, 1, 2, 6, 7, 8)]
    assert troubles.to_json() == [{"cause": DAMAGED, "count": 3, "examples": ["row group 1"]}]
