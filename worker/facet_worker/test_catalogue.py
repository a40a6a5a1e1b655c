"""A bundle read back one feature at a time, and what of it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from facet_worker.catalogue import Catalogue
from facet_worker.errors import FacetError
from facet_worker.small_bundle import DEAD, HOOK, SILENT, write_small_bundle


def test_reads_features_with_their_maps_and_pictures(tmp_path: Path) -> None:
    hashes = write_small_bundle(tmp_path)
    found = Catalogue(tmp_path)
    assert (found.dictionary, found.model_id, found.num_latents, len(found.pictures)) == (HOOK, "small", 5, 24)
    features = list(found.features())
    assert [f.index for f in features] == [0, 1, 2, SILENT]
    assert DEAD not in [f.index for f in features]
    first = features[1]
    assert [m.image for m in first.top] == hashes[5:10]
    assert [m.peak for m in first.top] == [5, 4, 3, 2, 1]
    np.testing.assert_array_equal(first.top[0].values, np.array([[0, 0, 0, 5]] * 4, np.float32))
    assert [m.image for m in first.maps["random"]] == hashes[6:8]
    assert {found.band for found in first.shown().values()} == {"top"}
    assert features[3].top == []
    assert [f.index for f in found.features({2, 3, 99})] == [2]
    assert found.pictures.load(hashes[2]).getpixel((0, 0)) == (0, 0, 255)


def _spoil(path: Path, column: str) -> None:
    """Overwrites the column's first page of the first row group."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = next(part for i in range(group.num_columns) if (part := group.column(i)).path_in_schema == column)
    data = bytearray(path.read_bytes())
    begin = found.dictionary_page_offset or found.data_page_offset
    data[begin : begin + 24] = b"\xff" * 24
    path.write_bytes(data)


def test_a_damaged_part_is_named_and_costs_only_the_pictures_in_it(tmp_path: Path) -> None:
    hashes = write_small_bundle(tmp_path)
    whole = Catalogue(tmp_path)
    _spoil(tmp_path / "images.parquet", "bytes")
    found = Catalogue(tmp_path)
    with pytest.raises(FacetError, match="is damaged") as caught:
        found.pictures.load(hashes[0])
    assert caught.value.code == "unreadable_image"
    assert [f.index for f in found.features()] == [f.index for f in whole.features()]
    for name, column in (("activations", "values"), ("features", "max_activation")):
        _spoil(tmp_path / HOOK / f"{name}.parquet", column)
        with pytest.raises(FacetError, match=rf"{name}\.parquet is damaged") as caught:
            list(Catalogue(tmp_path).features())
        assert caught.value.code == "bundle_invalid"


def test_refuses_what_is_no_bundle_or_is_broken(tmp_path: Path) -> None:
    with pytest.raises(FacetError, match=r"no manifest\.json"):
        Catalogue(tmp_path)
    hashes = write_small_bundle(tmp_path, broken=[1])
    with pytest.raises(FacetError, match="not other"):
        Catalogue(tmp_path, "other")
    found = Catalogue(tmp_path)
    for sha, code in ((hashes[1], "unreadable_image"), ("f" * 64, "image_not_found")):
        with pytest.raises(FacetError) as caught:
            found.pictures.load(sha)
        assert caught.value.code == code
    path = tmp_path / HOOK / "activations.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), path)
    with pytest.raises(FacetError, match="not in order"):
        list(Catalogue(tmp_path).features())
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(FacetError, match="no Parquet"):
        list(Catalogue(tmp_path).features())
