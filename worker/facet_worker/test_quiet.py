"""A feature that is called inactive without the encoder is inactive in the encoder, and the encoder is spared often."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from facet_worker.dictionaries import Dictionary
from facet_worker.quiet import Quiet

L, D, K = 2000, 48, 20


@pytest.mark.parametrize("kind", ["topk", "relu", "jumprelu", "batchtopk", "gated"])
def test_never_calls_an_active_feature_inactive(kind: str) -> None:
    g = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Any:
        return torch.randn(*shape, generator=g)

    extra: dict[str, Any] = {
        "jumprelu": {"threshold": draw(L).abs() * 8},
        "batchtopk": {"threshold": torch.tensor([9.0])},
        "gated": {"r_mag": 0.1 * draw(L), "b_mag": draw(L)},
    }.get(kind, {})
    sae = Dictionary(draw(L, D), draw(L) - 4, draw(L, D), draw(D), kind, K if kind == "topk" else None, **extra)
    # States that resemble each other, as those of neighbouring tokens do.
    common, spared, active = draw(D), 0, 0
    for trial in range(60):
        features = torch.randperm(L, generator=g)[:3] if trial % 2 else sae.encode((common + 0.3 * draw(D))[None])[0][0, :3]
        quiet = Quiet(sae, features)
        for _ in range(6):
            x = (common + 0.3 * draw(D))[None]
            indices, values = sae.encode(x)
            really = any(bool((values[0][indices[0] == f] > 0).any()) for f in features.tolist())
            surely = quiet.surely(x[None])
            assert not (surely and really)
            spared += surely
            active += really
            quiet.learn(indices[0][values[0] > 0])
    assert active > 100
    assert spared > (60 * 6 * 0.25 if kind == "topk" else 20)


def test_leaves_a_doubt_where_numbers_are_too_close() -> None:
    rows = torch.eye(4)
    sae = Dictionary(rows, torch.zeros(4), rows, torch.zeros(4), "topk", 2)
    quiet = Quiet(sae, torch.tensor([0]))
    assert not quiet.surely(torch.tensor([[[0.0, 5.0, 5.0, 5.0]]]))
    assert quiet.surely(torch.tensor([[[-1.0, 5.0, 5.0, 5.0]]]))
    assert not quiet.surely(torch.tensor([[[4.0, 5.0, 5.0, 5.0]]]))
    quiet.learn(torch.tensor([1, 2, 3]))
    assert quiet.surely(torch.tensor([[[4.0, 5.0, 5.0, 5.0]]]))
    assert not quiet.surely(torch.tensor([[[5.0, 5.0, 5.0, 1.0]]]))
    assert not quiet.surely(torch.tensor([[[4.0, 5.0, 1.0, 1.0]]]))


def test_asks_no_more_while_a_feature_stays_active_and_again_once_it_does_not() -> None:
    rows = torch.eye(4)
    quiet = Quiet(Dictionary(rows, torch.zeros(4), rows, torch.zeros(4), "relu"), torch.tensor([0]))
    off = torch.tensor([[[-1.0, 5.0, 5.0, 5.0]]])
    for _ in range(3):
        quiet.learn(torch.tensor([0, 1]))
        assert quiet.surely(off)
    quiet.learn(torch.tensor([0, 1]))
    assert not quiet.surely(off)
    quiet.learn(torch.tensor([1, 2]))
    assert quiet.surely(off)
