"""The cut model says what the engine says, word for word, and fires where it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facet_worker.catalogue import Catalogue
from facet_worker.checkpoint import load_checkpoint
from facet_worker.sae import TopKSae
from facet_worker.split_studied import SplitStudied
from facet_worker.studied import Steered, SteerJob, StudiedModel, blank, pixels_of
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
HOOK = "model.layers.1"


@pytest.fixture(scope="module")
def both() -> tuple[StudiedModel, SplitStudied]:
    torch.set_num_threads(1)
    folder = ROOT / "demo/dictionaries" / HOOK
    engine = TorchEngine.load(ROOT / "demo/model", {HOOK: folder}, model_id="facet-emoji")
    split = SplitStudied(load_checkpoint(ROOT / "demo/model"), 1, TopKSae.load(folder), "facet-emoji", 6, 3)
    return StudiedModel(engine, f"facet-emoji/{HOOK}", 6), split


def test_answers_and_clamped_answers_are_the_engines(both: tuple[StudiedModel, SplitStudied]) -> None:
    engine, split = both
    pictures = Catalogue(ROOT / "demo/bundle", HOOK).pictures
    shown = [pixels_of(pictures.load(sha)) for sha in pictures.hashes[:4]]
    asked = [(picture, question) for picture in shown for question in ("what is this ?", "what colour is the background ?")]
    said = split.answers(asked, 6)
    assert said == engine.answers(asked, 6)
    assert len(set(map(str, said))) > 3
    jobs = [SteerJob(feature, 5.0, (1.0, 4.0), picture, "what is this ?") for feature in (22, 29) for picture in (blank(96), shown[0])]
    mine, theirs = split.steered(jobs), engine.steered(jobs)
    for a, b in zip(mine, theirs, strict=True):
        assert isinstance(a, Steered)
        assert isinstance(b, Steered)
        assert (a.plain.text, a.plain.finish, a.with_it) == (b.plain.text, b.plain.finish, b.with_it)
    for picture in shown[:2]:
        assert split.fires(picture) == engine.fires(picture)


def test_embeds_pictures_by_its_own_tower(both: tuple[StudiedModel, SplitStudied]) -> None:
    pictures = Catalogue(ROOT / "demo/bundle", HOOK).pictures
    found = both[1].images([pictures.load(sha) for sha in (*pictures.hashes[:2], pictures.hashes[0])])
    assert found.shape[0] == 3
    assert np.allclose(found[0], found[2], atol=1e-5)
    assert not np.allclose(found[0], found[1], atol=1e-2)
