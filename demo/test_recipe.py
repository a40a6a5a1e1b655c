"""The whole recipe, reduced; and the committed artefacts against their manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from demo import recipe
from facet_worker.bundle import check_bundle
from facet_worker.checkpoint import load_checkpoint
from facet_worker.sae import TopKSae, file_sha256

DEMO = Path(__file__).parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipe")
    recipe.main(["--seed", "0", "--work", str(root / "work"), "--out", str(root / "out"), "--reduced", "--workers", "1"])
    return root


def test_makes_everything(made: Path) -> None:
    out = made / "out"
    manifest = check_bundle(out / "bundle")
    assert [d["id"] for d in manifest["dictionaries"]] == ["model.layers.0", "model.layers.1"]
    assert manifest["model"]["sha256"] == load_checkpoint(out / "model").sha256
    engine = json.loads((out / "model/engine.json").read_text())
    for about in engine["dictionaries"]:
        assert (out / "model" / about["lower"]).is_file()
        assert (out / "model" / about["folder"] / about["encode"]).is_file()
        assert TopKSae.load(out / "model" / about["folder"]).num_latents == 128
    parity = json.loads((out / "results/onnx.json").read_text())
    assert all(p["same_text"] == p["prompts"] and p["hidden"] <= 1e-3 for p in parity.values())
    reports = json.loads((out / "results/explanations.json").read_text())
    assert set(reports) == {"model.layers.0", "model.layers.1"}


def test_every_living_feature_has_an_explanation_or_a_reason(made: Path) -> None:
    folder = made / "out/bundle/model.layers.1"
    dead = np.array(pq.read_table(folder / "features.parquet").column("dead").to_pylist())
    rows = pq.read_table(folder / "explanations.parquet").to_pylist()
    assert {r["index"] for r in rows} == set(np.flatnonzero(~dead).tolist())
    assert all((r["text"] is None) == (r["failure"] is not None) for r in rows)


def test_the_manifest_lists_every_file(made: Path) -> None:
    _check_manifest(made / "out")


def test_a_second_run_does_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.main(["--work", str(made / "work"), "--out", str(made / "out"), "--reduced", "--workers", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert lines
    assert all("done already" in line for line in lines)


def _check_manifest(root: Path) -> None:
    manifest = json.loads((root / "manifest.json").read_text())
    for path, entry in manifest["files"].items():
        file = root / path
        assert file.is_file(), f"{path} is missing"
        assert (file.stat().st_size, file_sha256(file)) == (entry["bytes"], entry["sha256"]), (
            f"{path} is not the file that the manifest names"
        )
    listed = {root / path for path in manifest["files"]}
    there = {p for top in ("model", "dictionaries", "bundle", "results") for p in (root / top).rglob("*") if p.is_file()}
    assert there == listed


def test_committed_artefacts_match_their_manifest() -> None:
    if not (DEMO / "manifest.json").is_file():
        assert not (DEMO / "bundle").exists(), "artefacts are there without demo/manifest.json"
        return
    _check_manifest(DEMO)
    assert json.loads((DEMO / "manifest.json").read_text())["bytes"] <= 40e6
    check_bundle(DEMO / "bundle")
