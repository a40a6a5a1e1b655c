"""`facet-worker cache` on a tiny model: what it counts, what it leaves out, how it is cut and killed; each against a plain computation or an unbroken run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from facet_worker.bundle import check_bundle
from facet_worker.cache import build_caches
from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.feature_state import Keep
from facet_worker.harvest import Harvester, Item
from facet_worker.pipeline.cache_shards import NOT_FINITE, TOO_LARGE, ShardMaker
from facet_worker.pipeline.cache_step import CacheSection, run
from facet_worker.pipeline.pictures import TWICE, UNREADABLE, Picture
from facet_worker.pipeline.run_folder import CORRUPT, RunFolder
from facet_worker.pipeline.settings import read_settings
from facet_worker.pipeline.steps import Context
from facet_worker.sae import TopKSae
from facet_worker.training.model_source import ModelSource

HOOK = "model.layers.1"
TABLES = ("images", "texts", f"{HOOK}/features", f"{HOOK}/activations", f"{HOOK}/neighbours")


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dictionary, a set of twelve pictures and a few files that are none, and captions of some."""
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_sae.save(folder / HOOK)
    images = folder / "images"
    images.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(images / f"{number + 1}.png")
        if number % 2:
            (images / f"{number + 1}.txt").write_text("a red dog" if number % 4 == 1 else "where is the cat ?")
    (images / "13.png").write_bytes((images / "3.png").read_bytes())
    (images / "14.png").write_text("no picture")
    (images / "15.jpg").write_bytes((images / "4.png").read_bytes()[:300])
    return folder


def configure(place: Path, tiny_folder: Path, name: str, cache: str = "", images: str = "") -> Path:
    file = place / f"{name}.toml"
    file.write_text(
        f'run = "runs/{name}"\n[model]\npath = "{tiny_folder}"\nid = "tiny"\nunchecked_dictionary = true\n[images]\npath = "images"\n{images}\n'
        f'[[dictionaries]]\npath = "{HOOK}"\n[cache]\ntop = 3\nband = 2\nrandom = 2\ntext = 2\nsample = 6\nside = 32\n{cache}\n'
    )
    return file


def cached(file: Path) -> tuple[dict[str, Any], Path]:
    settings = read_settings(file, {"cache": CacheSection})
    with RunFolder.open(settings.run_folder) as folder:
        return run(Context(settings, folder)), settings.run_folder / "cache"


def tables(folder: Path) -> dict[str, Any]:
    return {name: pq.read_table(folder / "bundle" / f"{name}.parquet").to_pylist() for name in TABLES}


def test_a_bundle_of_what_a_plain_pass_finds(
    place: Path, tiny_folder: Path, tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    manifest, folder = cached(configure(place, tiny_folder, "plain"))
    troubles = {row["cause"]: (row["count"], row["examples"]) for row in manifest["troubles"]}
    assert troubles == {TWICE: (1, ["13.png"]), UNREADABLE: (2, ["14.png", "15.jpg"])}
    bundle = check_bundle(folder / "bundle")
    assert bundle["model"]["grid"] == {"rows": 4, "cols": 4}
    assert bundle["dictionaries"][0]["image_tokens"] == 12 * 16
    keep = Keep(top=3, band=2, random=2, text=2, sample=6)
    wanted = build_caches(tiny, {1: tiny_sae}, [Item(p) for p in pictures], {1: tmp_path}, keep, 5, log=lambda _: None)[1]
    found = tables(folder)
    rows = found[f"{HOOK}/features"]
    np.testing.assert_allclose([row["density"] for row in rows], wanted.stats.density)
    np.testing.assert_allclose([row["max_activation"] for row in rows], wanted.stats.max_activation, rtol=2e-3)
    np.testing.assert_array_equal([row["images"] for row in rows], wanted.stats.images)
    np.testing.assert_array_equal([row["dead"] for row in rows], wanted.stats.dead)
    # No words were read, so nothing is said of them.
    assert {row["text_density"] for row in rows} == {row["image_share"] for row in rows} == {None}
    assert found["texts"] == []
    names = {row["sha256"]: row["source"] for row in found["images"]}
    top: dict[int, list[str]] = {}
    for row in found[f"{HOOK}/activations"]:
        if row["band"] == "top":
            top.setdefault(row["index"], []).append(names[row["image"]])
    assert top == {f: [f"{e.item + 1}.png" for e in bands["top"]] for f, bands in enumerate(wanted.examples) if bands["top"]}
    assert manifest["report"][HOOK]["never_fired"] == int(wanted.stats.dead.sum())


def test_however_it_is_cut_it_is_the_same(place: Path, tiny_folder: Path) -> None:
    """In shards of other sizes exactly; in batches of other sizes as far as the arithmetic of another batch goes."""
    made = {
        name: tables(cached(configure(place, tiny_folder, name, cache, "captions = true"))[1])
        for name, cache in {
            "two": "shard = 2\nbatch = 1", "five": "shard = 5\nbatch = 1", "one": "batch = 1", "wide": "batch = 12",
        }.items()
    }  # fmt: skip
    assert made["two"] == made["five"] == made["one"]
    assert len(made["one"]["texts"]) > 1
    said = {" ".join("".join(row["tokens"]).split()) for row in made["one"]["texts"]}
    assert said == {"<s><user>a red dog<assistant>", "<s><user>where is<unk> cat ?<assistant>"}
    assert made["one"][f"{HOOK}/neighbours"]
    for one, other in zip(made["one"][f"{HOOK}/features"], made["wide"][f"{HOOK}/features"], strict=True):
        assert (one["images"], one["active_tokens"]) == (other["images"], other["active_tokens"])
        assert one["text_density"] == other["text_density"]
        assert one["max_activation"] == pytest.approx(other["max_activation"], rel=2e-3)
    wanted = [(row["index"], row["band"], row["rank"], row["image"], row["text"]) for row in made["one"][f"{HOOK}/activations"]]
    assert [(row["index"], row["band"], row["rank"], row["image"], row["text"]) for row in made["wide"][f"{HOOK}/activations"]] == wanted


def test_every_activation_in_the_papers_files(
    place: Path, tiny_folder: Path, tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]
) -> None:
    """Read back they are the dense maps, picture by picture, whatever the shards."""
    _, folder = cached(configure(place, tiny_folder, "paper", "shard = 5\npaper_layout = true"))
    files = sorted((folder / "activations" / HOOK).iterdir())
    assert [file.name for file in files] == ["0_63.safetensors"]
    found = load_file(files[0])
    locations, activations = found["locations"], found["activations"]
    assert (locations.dtype, activations.dtype, locations.shape) == (np.int64, np.float32, (len(activations), 3))
    assert (np.diff(locations[:, 0]) >= 0).all()
    dense = np.zeros((12, 16, 64), np.float32)
    dense[tuple(locations.T)] = activations
    hidden = Harvester(tiny, [1]).run([Item(p) for p in pictures])[1]
    np.testing.assert_allclose(dense, tiny_sae.activations(hidden.image).numpy(), atol=2e-4)


def test_killed_by_sigkill_it_goes_on_and_ends_as_unbroken(place: Path, tiny_folder: Path) -> None:
    whole = configure(place, tiny_folder, "whole", "shard = 1\nbatch = 1", "captions = true")
    cached(whole)
    broken = configure(place, tiny_folder, "broken", "shard = 1\nbatch = 1", "captions = true")
    shards = place / "runs/broken/cache/shards"
    program = "import sys, time, facet_worker.__main__ as m, facet_worker.pipeline.cache_step as c\nmake = c.make_shard\n"
    # Slow, so that the kill falls into the middle of the work.
    program += "c.make_shard = lambda *a: (time.sleep(0.3), make(*a))[1]\nsys.exit(m.main(['cache', sys.argv[1]]))"
    process = subprocess.Popen([sys.executable, "-c", program, str(broken)], stderr=subprocess.PIPE)
    while len(list(shards.glob("*.json")) if shards.is_dir() else []) < 4:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in shards.glob("*.json")}
    assert 4 <= len(done) < 12
    assert not (place / "runs/broken/cache/bundle").exists()
    # One of the shards that it left is damaged besides.
    victim = next(iter(sorted(shards.glob("*.safetensors"))))
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    manifest, folder = cached(broken)
    assert sum(path.stat().st_mtime_ns == at for path, at in done.items()) == len(done) - 1
    assert {row["cause"]: row["count"] for row in manifest["troubles"]} == {TWICE: 1, UNREADABLE: 2, CORRUPT: 1}
    for name in TABLES:
        assert (folder / "bundle" / f"{name}.parquet").read_bytes() == (place / f"runs/whole/cache/bundle/{name}.parquet").read_bytes(), (
            name
        )


def test_a_finished_cache_is_not_made_again_and_another_configuration_is_refused(place: Path, tiny_folder: Path) -> None:
    file = configure(place, tiny_folder, "again")
    first, _ = cached(file)
    assert cached(file)[0] == json.loads(json.dumps(first))
    file.write_text(file.read_text().replace("top = 3", "top = 4"))
    with pytest.raises(FacetError, match=r"configuration\.top was 3 and is 4"):
        cached(file)


def test_states_out_of_range_cost_their_picture_alone(
    tiny_folder: Path, place: Path, pictures: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from facet_worker.pipeline.cache_step import load_engine

    engine = load_engine(read_settings(configure(place, tiny_folder, "bad"), {"cache": CacheSection}))
    files = [(place / "images" / f"{n + 1}.png").read_bytes() for n in range(6)]
    every = [Picture(f"{n}.png", "", partial(files.__getitem__, n), "a dog") for n in range(6)]
    maker = ShardMaker(engine, Keep(top=2), batch=6)
    alone = maker.make([every[n] for n in (0, 2, 4, 5)], 0)
    states = ModelSource.states

    def spoilt(self: ModelSource, prompts: Any) -> torch.Tensor:
        out = states(self, prompts)
        out[1, 5] = torch.nan
        out[3, -1] *= 1e6
        return out

    monkeypatch.setattr(ModelSource, "states", spoilt)
    shard = maker.make(every, 0)
    assert shard.troubles.to_json() == [
        {"cause": TOO_LARGE, "count": 1, "examples": ["3.png"]},
        {"cause": NOT_FINITE, "count": 1, "examples": ["1.png"]},
    ]
    one, other = alone.states[HOOK], shard.states[HOOK]
    assert sorted(shard.texts) == [0, 2, 4, 5]
    np.testing.assert_array_equal(one.image_count, other.image_count)
    np.testing.assert_array_equal(one.text_count, other.text_count)
    np.testing.assert_allclose(one.image_sum, other.image_sum, rtol=1e-2)
