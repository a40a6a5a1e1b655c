"""Blocks are found by structure; hooks read, replace, and never attach nowhere in silence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.hooks import capture, find_blocks, replace


def _inputs(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> dict[str, Tensor]:
    ids = tiny.ids_of(tiny.prompt([("user", "what is it ?")]))
    return {"input_ids": torch.tensor([ids, ids]), "pixel_values": tiny.pixels(pictures[:2])}


def test_finds_the_decoder_and_not_the_tower(tiny: Checkpoint) -> None:
    assert len(find_blocks(tiny.model)) == 3


def test_refuses_a_model_without_exactly_one_decoder(tiny: Checkpoint) -> None:
    with pytest.raises(FacetError, match="0 lists"):
        find_blocks(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(FacetError, match="2 lists"):
        find_blocks(nn.ModuleList([nn.ModuleList(find_blocks(tiny.model)), nn.ModuleList(find_blocks(tiny.model))]))


def test_capture_then_identity_replacement_changes_nothing(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    inputs = _inputs(tiny, pictures)
    with torch.inference_mode():
        plain = tiny.model(**inputs).logits
        with capture(tiny.model, 1) as seen:
            tiny.model(**inputs)
        with replace(tiny.model, 1, lambda h: h):
            same = tiny.model(**inputs).logits
        with replace(tiny.model, 1, torch.zeros_like):
            other = tiny.model(**inputs).logits
    assert seen.last().shape == (2, inputs["input_ids"].shape[1], 32)
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, other)


def test_captured_steered_minus_captured_baseline_is_the_request(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    inputs = _inputs(tiny, pictures)
    change = torch.randn(32, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode(), capture(tiny.model, 1) as base:
        tiny.model(**inputs)
    # hooks run in the order in which they were attached, so the capture behind the replacement sees its result
    with torch.inference_mode(), replace(tiny.model, 1, lambda h: h + change), capture(tiny.model, 1) as steered:
        tiny.model(**inputs)
    assert torch.allclose(steered.last() - base.last(), change.expand_as(base.last()), atol=1e-5)


def test_replaces_the_first_of_a_tuple() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.self_attn = self.mlp = self.input_layernorm = self.post_attention_layernorm = nn.Identity()

        def forward(self, x: Tensor) -> tuple[Tensor, str]:
            return x, "kept"

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([Block()])

        def forward(self, x: Tensor) -> tuple[Tensor, str]:
            out: tuple[Tensor, str] = self.layers[0](x)
            return out

    model = Model()
    with replace(model, 0, lambda h: h + 1):
        out, rest = model(torch.zeros(1, 2, 3))
    assert rest == "kept"
    assert bool((out == 1).all())


def test_a_hook_that_nothing_reaches_raises(tiny: Checkpoint) -> None:
    with pytest.raises(FacetError, match="no forward pass"), capture(tiny.model, 1):
        pass
    with pytest.raises(FacetError, match="no forward pass"), replace(tiny.model, 1, lambda h: h):
        pass
    with pytest.raises(FacetError, match="does not exist"), capture(tiny.model, 3):
        pass
