"""An image set of which the disk or a damaged file gives a part only: that part is counted, and the rest is read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.pipeline.pictures import DAMAGED, GONE, read_set
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
