"""A bundle round trip, and what a checker refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from facet_worker.bundle import IMAGE_ROWS, BundleImage, DictionaryPart, Text, check_bundle, write_bundle
from facet_worker.cache import Example, FeatureCache, FeatureStats
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.neighbours import Neighbour
from facet_worker.score import Score
from facet_worker.tokens import TokenWeight


def _example(item: int, size: int, positions: list[int], values: list[float]) -> Example:
    return Example(item, np.array(positions, np.uint16), np.array(values, np.float16), size, max(values), sum(values) / size)


def _cache() -> FeatureCache:
    def column(*values: float) -> npt.NDArray[np.float64]:
        return np.array(values, np.float64)

    stats = FeatureStats(
        column(0.1, 0), column(0, 0), column(2, 0), column(1, 0), column(1, np.nan), np.array([2, 0]), np.array([3, 0]), np.array([False, True]),
        np.array([False, False]), np.array([False, False]), np.zeros((2, 32), np.int64), 32, 5,
    )  # fmt: skip
    bands = {"top": [_example(1, 16, [3, 15], [2.0, 0.5])], "upper": [], "middle": [], "lower": [], "random": [_example(0, 16, [0], [1.0])]}
    return FeatureCache(stats, [{**bands, "text": [_example(1, 3, [2], [0.25])]}, {band: [] for band in (*bands, "text")}])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = [BundleImage(hashlib.sha256(d).hexdigest(), d, "image/webp", 4, 4, "made", None) for d in (b"one", b"two")]
    about = {"id": "model.layers.1", "hook": "model.layers.1", "layer": 1, "num_latents": 2}
    created = "2026-01-01T00:00:00+00:00"
    part = DictionaryPart(
        about, _cache(),
        [
            Explanation(0, "causal", "m", "It is a dog.", "dog", "object", None, "what ?", created, preferred=True),
            Explanation(0, "top-images", "m", None, None, None, "The answers do not agree.", "what ?", created),
        ],
        [Score(0, "causal", "iou", 0.5, 0.01, 1, None, "how")], [Neighbour(0, "decoder", 0, 1, 0.3)], [TokenWeight(0, "writes", 0, "dog", 1.5)],
    )  # fmt: skip
    model = {"id": "m", "name": "M", "sha256": "0" * 64, "image_size": 32, "grid": {"rows": 4, "cols": 4}}
    texts = [Text(["<s>", " unused"], 0), Text(["<s>", " a", " dog"], 1)]
    write_bundle(tmp_path, model, "free art", images, texts, [part], {"command": "test", "seed": 0, "versions": {}, "date": "2026-01-01"})
    return tmp_path


def test_round_trip(folder: Path) -> None:
    manifest = check_bundle(folder)
    assert manifest["dictionaries"][0]["folder"] == "model.layers.1"
    rows = pq.read_table(folder / "model.layers.1/activations.parquet").to_pylist()
    top = rows[0]
    assert (top["band"], top["rows"], top["cols"]) == ("top", 4, 4)
    assert top["image"] == hashlib.sha256(b"two").hexdigest()
    assert np.frombuffer(top["positions"], "<u2").tolist() == [3, 15]
    assert np.frombuffer(top["values"], "<f2").tolist() == [2.0, 0.5]
    texts = pq.read_table(folder / "texts.parquet").to_pylist()
    assert texts == [{"id": 0, "tokens": ["<s>", " a", " dog"], "image": hashlib.sha256(b"two").hexdigest()}]
    assert next(r for r in rows if r["band"] == "text")["text"] == 0
    assert pq.read_table(folder / "model.layers.1/features.parquet").column("image_share").to_pylist() == [1.0, None]


def test_only_snappy_or_nothing(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        group = pq.ParquetFile(path).metadata.row_group(0)
        assert {group.column(i).compression for i in range(group.num_columns)} <= {"SNAPPY", "UNCOMPRESSED"}


def test_a_reader_need_not_hold_all_pictures(tmp_path: Path) -> None:
    data = [str(number).encode() for number in range(2 * IMAGE_ROWS + 1)]
    images = [BundleImage(hashlib.sha256(d).hexdigest(), d, "image/webp", 4, 4, None, None) for d in data]
    model = {"id": "m", "name": "M", "sha256": "0" * 64, "image_size": 32, "grid": {"rows": 4, "cols": 4}}
    write_bundle(tmp_path, model, None, images, [], [], {})
    file = pq.ParquetFile(tmp_path / "images.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [IMAGE_ROWS, IMAGE_ROWS, 1]
    assert file.read().column("bytes").to_pylist() == data


def test_a_changed_file_is_refused(folder: Path) -> None:
    path = folder / "model.layers.1/scores.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FacetError, match=r"scores\.parquet"):
        check_bundle(folder)


def test_another_format_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": "facet-bundle/9"}))
    with pytest.raises(FacetError, match="facet-bundle/9"):
        check_bundle(folder)
