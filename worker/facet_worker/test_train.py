"""Training finds planted directions, keeps rows at unit norm, revives the dead, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.harvest import Activations, Item, collect
from facet_worker.quality import answer_mask, loss_recovered
from facet_worker.sae import TopKSae
from facet_worker.train import TrainConfig, evaluate, train


def _planted(seed: int, scale: float) -> Tensor:
    generator = torch.Generator().manual_seed(11)
    rows = torch.nn.functional.normalize(torch.randn(40, 24, generator=generator), dim=1)
    g = torch.Generator().manual_seed(seed)
    codes = torch.zeros(4000, 40).scatter_(1, torch.randint(40, (4000, 3), generator=g), 1 + torch.rand(4000, 3, generator=g))
    return scale * (codes @ rows)


def _data(seed: int) -> Activations:
    # the text's scale is ten times the image's, so a shared error term would forget the image
    return Activations(_planted(seed, 1.0), _planted(seed + 1, 10.0)[:800], 3 * torch.ones(2, 24))


def test_learns_and_repeats() -> None:
    torch.set_num_threads(1)
    config = TrainConfig(num_latents=56, k=6, steps=300, batch=256, lr_scale=2.0, revive_every=50, dead_after_tokens=8000)
    sae = train(_data(1), config, log=lambda _: None)
    quality = evaluate(sae, _data(5))
    assert quality["fvu_image"] < 0.12
    assert quality["fvu_text"] < 0.12
    assert quality["l0"] <= 6
    assert quality["silent_share"] <= 0.25
    assert torch.allclose(sae.w_dec.norm(dim=1), torch.ones(56), atol=2e-3)
    again = train(_data(1), config, log=lambda _: None)
    assert torch.equal(sae.w_dec, again.w_dec)


def test_spare_latents_leave_only_those_that_the_data_uses() -> None:
    torch.set_num_threads(1)
    config = TrainConfig(num_latents=48, k=6, steps=200, batch=256, revive_every=0, auxk_alpha=0.0)
    plain, spared = train(_data(1), config, lambda _: None), train(_data(1), replace(config, spare=32), lambda _: None)
    assert spared.num_latents == 48
    silent = [evaluate(sae, _data(5))["silent_share"] for sae in (plain, spared)]
    assert silent[1] < silent[0]


def test_answer_mask() -> None:
    user, assistant, eos = 5, 6, 3
    assert answer_mask([9, assistant, 8, eos, user, 9, assistant, 7, eos], assistant, eos) == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_perfect_dictionary_recovers_the_loss(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    eye = torch.eye(32)
    # x = relu(x) − relu(−x): with both signs of every direction nothing is lost
    perfect = TopKSae(torch.cat([eye, -eye]), torch.zeros(64), torch.cat([eye, -eye]), torch.zeros(32), 32)
    items = [Item(p, ((7, 9, 12, 6, 15, 3), (8, 12, 6, 16, 3))) for p in pictures[:4]]
    quality = loss_recovered(tiny, 1, perfect, items)
    assert abs(quality["loss_recovered"] - 1) < 1e-3
    assert quality["loss_tokens"] == 16


def test_collects_every_token(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    data = collect(tiny, [Item(p, ((7, 8), (9,))) for p in pictures[:5]], [0, 1], batch=2)
    assert data[1].image.shape == (80, 32)
    assert data[0].text.shape == (15, 32)
    assert data[1].template.shape == (2, 32)
