"""A published bundle, read by programs that know nothing of this package: pandas, DuckDB and `datasets`."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facet_worker import __main__ as program
from facet_worker.bundle import SCHEMAS, check_bundle
from facet_worker.errors import FacetError
from facet_worker.pipeline import publish_step
from facet_worker.pipeline.cache_step import CacheSection
from facet_worker.pipeline.publish_step import SECTION, run
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import read_settings
from facet_worker.pipeline.steps import Context
from facet_worker.sae import TopKSae, file_sha256
from facet_worker.score import Score
from facet_worker.step_tools import write_rows

HOOK = "model.layers.1"


@pytest.fixture(scope="module")
def published(tiny_folder: Path, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By `facet-worker run`, of a set in Parquet whose pictures are larger than the copies."""
    folder = tmp_path_factory.mktemp("publish")
    tiny_sae.save(folder / HOOK)
    rows = []
    for number, pixels in enumerate(pictures):
        file = io.BytesIO()
        Image.fromarray(pixels).resize((120, 80)).save(file, "PNG")
        rows.append({"image": {"bytes": file.getvalue(), "path": f"{number}.png"}, "caption": "a red dog" if number % 2 else None})
    pq.write_table(pa.Table.from_pylist(rows), folder / "set.parquet", row_group_size=5)
    (folder / "pipeline.toml").write_text(
        f'run = "run"\n[model]\npath = "{tiny_folder}"\nid = "tiny"\nunchecked_dictionary = true\n[images]\npath = "set.parquet"\ncaptions = true\n'
        f'attribution = "Noise of our own."\n[[dictionaries]]\npath = "{HOOK}"\n[cache]\nside = 60\nshard = 5\n'
        '[publish]\ntitle = "Features of noise"\nlicence = "apache-2.0"\n'
    )
    assert program.main(["run", str(folder / "pipeline.toml")]) == 0
    return folder / "run" / "publish" / "bundle"


def test_pandas_reads_maps_and_pictures(published: Path) -> None:
    check_bundle(published)
    features = pd.read_parquet(published / HOOK / "features.parquet")
    activations = pd.read_parquet(published / HOOK / "activations.parquet")
    images = pd.read_parquet(published / "images.parquet").set_index("sha256")
    assert len(features) == 64
    top = activations[(activations.band == "top") & (activations["rank"] == 0)].set_index("index")
    alive = features[features.images > 0]
    assert set(top.index) == set(alive["index"])
    for index, row in top.iterrows():
        grid = np.zeros(row.rows * row.cols, np.float16)
        grid[np.frombuffer(row.positions, "<u2")] = np.frombuffer(row["values"], "<f2")
        assert float(grid.max()) == pytest.approx(row.peak, rel=1e-6)
        assert float(grid.astype(np.float64).mean()) == pytest.approx(row["mean"], rel=1e-5)
        assert float(grid.max()) <= features.max_activation[int(index)]
        picture = Image.open(io.BytesIO(images.loc[row.image, "bytes"]))
        assert (picture.format, picture.size) == ("WEBP", (60, 40))
    assert set(images.caption.dropna()) == {"a red dog"}


def test_duckdb_joins_its_files(published: Path) -> None:
    found = (
        duckdb.connect()
        .execute(
            f"""select count(*), min(i.width), sum(octet_length(a.positions)) = sum(octet_length(a."values")), max(f.max_activation) >= max(a.peak)
        from '{published}/{HOOK}/activations.parquet' a join '{published}/{HOOK}/features.parquet' f using (index)
        join '{published}/images.parquet' i on i.sha256 = a.image where a.band <> 'text'"""
        )
        .fetchall()[0]
    )
    rows = pq.read_table(published / HOOK / "activations.parquet").to_pylist()
    assert found == (sum(row["band"] != "text" for row in rows), 60, True, True)
    said = duckdb.connect().execute(f"select list_aggregate(tokens, 'string_agg', '') from '{published}/texts.parquet'").fetchall()
    assert said
    assert all("a red dog" in row[0] for row in said)


def test_datasets_finds_every_table_by_the_card(published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets: Any = pytest.importorskip("datasets")
    names = datasets.get_dataset_config_names(str(published))
    assert sorted(names) == sorted(["images", "texts", *(f"{HOOK}-{table}" for table in SCHEMAS if table not in ("images", "texts"))])
    features = datasets.load_dataset(str(published), f"{HOOK}-features", split="train", cache_dir=str(tmp_path))
    assert len(features) == 64
    assert features[3]["index"] == 3
    assert sum(features[3]["hist_counts"]) == features[3]["active_tokens"]


def _no_room(*_: object) -> str:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_card_tells_what_every_table_holds(published: Path) -> None:
    text = (published / "README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n")
    files = check_bundle(published)["files"]
    for path, file in files.items():
        assert f"| `{Path(path).name}` | {file['rows']:,} | " in text, path
    assert f"| `{HOOK}` | 64 | topk, k = 6 | 12 | " in text
    assert "Noise of our own." in text


def test_another_configuration_is_refused_and_changes_nothing(published: Path) -> None:
    base = published.parents[2]
    before = (published / "README.md").read_bytes()
    text = (base / "pipeline.toml").read_text().replace("Features of noise", "Features of something else")
    (base / "other.toml").write_text(text)
    settings = read_settings(base / "other.toml", {"publish": SECTION, "cache": CacheSection})
    with (
        RunFolder.open(base / "run") as folder,
        pytest.raises(FacetError, match=r"title was Features of noise and is Features of something else"),
    ):
        run(Context(settings, folder))
    assert (published / "README.md").read_bytes() == before


def test_explanations_come_in_anew_and_the_cache_stays_as_it_was(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = published.parents[2]
    before = (base / "run/cache/bundle" / HOOK / "explanations.parquet").read_bytes()
    with RunFolder.open(base / "run") as folder:
        step = folder.step("explain", {}, {})
        row = dict.fromkeys(SCHEMAS["explanations"].names) | {
            "index": 3, "method": "top-images", "author": "m", "text": "Dogs.", "created_at": "2026-01-01T00:00:00+00:00", "preferred": True,
        }  # fmt: skip
        file = step.folder / HOOK / "explanations.parquet"
        file.parent.mkdir(parents=True)
        settings = read_settings(base / "pipeline.toml", {"publish": SECTION, "cache": CacheSection})
        with pytest.raises(FacetError, match=r"explain in .* is not finished"):
            run(Context(settings, folder))
        pq.write_table(pa.Table.from_pylist([row], SCHEMAS["explanations"]), file)
        step.finish({}, [file])
        old = (published / "manifest.json").read_bytes()
        # A full disk at the last moment: the old bundle stays whole.
        with monkeypatch.context() as full:
            full.setattr(publish_step, "card", _no_room)
            with pytest.raises(FacetError, match="no room"):
                run(Context(settings, folder))
        assert (published / "manifest.json").read_bytes() == old
        assert not (published.parent / ".bundle.part").exists()
        made = run(Context(settings, folder))
        assert run(Context(settings, folder)) == made
        # Killed between the two renames, it takes the old one up again before it goes on.
        published.replace(published.with_name(".bundle.old"))
        assert run(Context(settings, folder)) == made
        # What a step's own process has not finished is not taken.
        rows = file.read_bytes()
        file.unlink()
        file.write_bytes(rows[:-1])
        (folder.folder / "publish" / "manifest.json").unlink()
        with pytest.raises(FacetError, match="not as the step left it"):
            run(Context(settings, folder))
        assert check_bundle(published)
        file.write_bytes(rows)
        run(Context(settings, folder))
        # Scores of what was said before, or of what is not there any more, are not published beside it.
        old = (published / "manifest.json").read_bytes()
        for of in ("0" * 64, file_sha256(base / "run/cache/bundle" / HOOK / "explanations.parquet")):
            folder.step("score", {}, {f"{HOOK}/explanations": of}, renewed=[f"{HOOK}/explanations"]).finish({}, [])
            with pytest.raises(FacetError, match="other explanations than the run has now") as refused:
                run(Context(settings, folder))
            assert "facet-worker score" in str(refused.value.fix)
        assert (published / "manifest.json").read_bytes() == old
        step = folder.step("score", {}, {f"{HOOK}/explanations": file_sha256(file)}, renewed=[f"{HOOK}/explanations"])
        score = Score(3, "top-images", "clip", 21.0, 18.0, 5, None, "by hand")
        table = write_rows("scores", [score], step.folder / HOOK / "scores.parquet")
        # Not before the step that scores them anew is through.
        with pytest.raises(FacetError, match="other explanations"):
            run(Context(settings, folder))
        step.finish({}, [table])
        run(Context(settings, folder))
        assert pd.read_parquet(published / HOOK / "scores.parquet").value.tolist() == [21.0]
        # Without the step that explained, the cache's own table is published, and the scores are not of it.
        (folder.folder / "explain").rename(folder.folder / "away")
        with pytest.raises(FacetError, match="other explanations"):
            run(Context(settings, folder))
        (folder.folder / "away").rename(folder.folder / "explain")
    assert check_bundle(published)["files"][f"{HOOK}/explanations.parquet"]["rows"] == 1
    assert pd.read_parquet(published / HOOK / "explanations.parquet").text.tolist() == ["Dogs."]
    assert (base / "run/cache/bundle" / HOOK / "explanations.parquet").read_bytes() == before
