"""The step `train` by its command: dictionaries that load, numbers on held-out pictures, nothing done twice, other settings refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facet_worker.dictionary_files import load_dictionary
from facet_worker.errors import FacetError
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import read_settings
from facet_worker.pipeline.steps import Context, run_step, sections
from facet_worker.training import step

PIPELINE = """
run = "run"
[model]
path = "{model}"
devices = {devices}
[images]
path = "pictures"
captions = true
[train]
hooks = ["model.layers.1", "model.layers.0"]
kind = "{kind}"
latents = 96
k = 4
steps = {steps}
batch = 128
lr = 3e-3
warmup = 10
dead_after = {dead_after}
buffer = 512
held_out = 8
save_every = 50
"""


@pytest.fixture
def pictures(tmp_path: Path) -> None:
    """Pictures of four colours and two sizes, with words, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(40):
        colour = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30]][i % 4])
        pixels = np.clip(colour + generator.normal(0, 25, (32 + 16 * (i % 2), 40, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(("a red dog", "where is it ?", "a sun", "what is a cat ?")[i % 4])
    (folder / "broken.png").write_bytes(b"no picture")


def pipeline(tmp_path: Path, model: Path, kind: str = "topk", steps: int = 60, devices: str = '["cpu"]') -> Path:
    file = tmp_path / "pipeline.toml"
    file.write_text(PIPELINE.format(model=model, kind=kind, steps=steps, devices=devices, dead_after=4000))
    return file


def train(file: Path) -> dict[str, object]:
    settings = read_settings(file, sections())
    with RunFolder.open(settings.run_folder) as folder:
        return run_step("train", Context(settings, folder))


@pytest.mark.parametrize("kind", ["topk", "jumprelu", "batchtopk", "matryoshka"])
def test_trains_and_measures(kind: str, tmp_path: Path, tiny_folder: Path, pictures: None) -> None:
    torch.set_num_threads(1)
    file = pipeline(tmp_path, tiny_folder, kind)
    manifest = train(file)
    report = json.loads(json.dumps(manifest["report"]))
    for hook in ("model.layers.0", "model.layers.1"):
        assert report[hook]["explained_variance"] > 0.5
        assert 1 < report[hook]["l0"] < 8
        assert report[hook]["loss_words"] > 0
        assert report[hook]["tokens"] > 0
        assert report[hook]["explained_variance"] + report[hook]["fvu"] == pytest.approx(1)
        clean, reconstructed, ablated = (report[hook][f"loss_{of}"] for of in ("clean", "reconstructed", "ablated"))
        assert len({clean, reconstructed, ablated}) == 3
        assert report[hook]["loss_recovered"] == pytest.approx((ablated - reconstructed) / (ablated - clean))
        # The few held-out tokens leave more latents silent than the last 4,000 of training.
        assert 0 <= report[hook]["dead_share"] < report[hook]["silent_share"] < 1
        dictionary = load_dictionary(tmp_path / "run" / "train" / "dictionaries" / hook)
        assert (dictionary.num_latents, dictionary.width, dictionary.activation) == (96, 32, "batchtopk" if kind == "matryoshka" else kind)
    assert report["seconds_learning"] > 0
    assert "The file is no whole picture" in str(manifest["troubles"])
    # Its dictionaries are those that the steps after it work with, and nothing is done again.
    assert list(read_settings(file, sections()).dictionaries()) == ["model.layers.0", "model.layers.1"]
    written = (tmp_path / "run" / "train" / "manifest.json").stat().st_mtime_ns
    assert train(file) == manifest
    assert (tmp_path / "run" / "train" / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(FacetError, match=r"steps was 60 and is 30"):
        train(pipeline(tmp_path, tiny_folder, kind, steps=30))


def test_trains_with_a_process_for_each_device(tmp_path: Path, tiny_folder: Path, pictures: None) -> None:
    manifest = train(pipeline(tmp_path, tiny_folder, steps=10, devices='["cpu", "cpu"]'))
    assert json.loads(json.dumps(manifest["report"]))["model.layers.1"]["fvu"] < 1


def test_what_a_process_of_several_failed_of_is_told_as_such(
    tmp_path: Path, tiny_folder: Path, pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pipeline(tmp_path, tiny_folder, devices='["cpu", "cpu"]')
    file.write_text(file.read_text().replace("lr = 3e-3", "lr = 1e30"))

    def launch(_config: object, learn: Callable[..., None]) -> Callable[..., None]:
        def started(*arguments: object) -> None:
            try:
                learn(*arguments)
            except FacetError as error:
                raise RuntimeError("one of the processes ended with 1") from error

        return started

    monkeypatch.setattr(step, "elastic_launch", launch)
    with pytest.raises(FacetError, match=r"The loss of step \d+ is (nan|inf)") as told:
        train(file)
    assert (told.value.code, "smaller rate" in str(told.value.fix)) == ("engine_failed", True)


def test_refuses_what_cannot_be_trained(tmp_path: Path, tiny_folder: Path, pictures: None) -> None:
    file = pipeline(tmp_path, tiny_folder)
    file.write_text(file.read_text().replace("held_out = 8", "held_out = 30"))
    with pytest.raises(FacetError, match="too few to learn from"):
        train(file)
    file.write_text(file.read_text().replace("held_out = 30", "held_out = 8\nlatent = 4"))
    with pytest.raises(FacetError, match=r"train\.latent is no setting; latents is meant"):
        train(file)
