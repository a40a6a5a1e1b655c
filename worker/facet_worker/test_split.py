"""The cut model equals the stock forward pass, whole and step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.split import SplitModel


@pytest.mark.parametrize("layer", [0, 1])
def test_equals_stock_logits(tiny: Checkpoint, pictures: npt.NDArray[np.uint8], layer: int) -> None:
    ids = torch.tensor([tiny.ids_of(tiny.prompt([("user", "where is it ?")]))] * 2)
    pixels = tiny.pixels(pictures[:2])
    split = SplitModel(tiny.model, layer)
    with torch.inference_mode():
        hidden, _ = split.lower(split.embed(ids, split.vision(pixels)), *split.lower.empty(2))
        logits, _ = split.upper(hidden, *split.upper.empty(2))
        stock = tiny.model(input_ids=ids, pixel_values=pixels).logits
    assert torch.allclose(logits, stock, atol=1e-4)


def test_steps_equal_one_pass(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    ids = torch.tensor([tiny.ids_of(tiny.prompt([("user", "where is it ?")]))])
    split = SplitModel(tiny.model, 1)
    with torch.inference_mode():
        embeds = split.embed(ids, split.vision(tiny.pixels(pictures[:1])))
        whole, _ = split.lower(embeds, *split.lower.empty(1))
        first, caches = split.lower(embeds[:, :9], *split.lower.empty(1))
        second, _ = split.lower(embeds[:, 9:], *caches)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-5)


def test_wrong_number_of_image_places(tiny: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    split = SplitModel(tiny.model, 1)
    with pytest.raises(FacetError, match="0 image places"):
        split.embed(torch.tensor([[2, 5, 7]]), split.vision(tiny.pixels(pictures[:1])))
    with pytest.raises(FacetError, match="last one"):
        SplitModel(tiny.model, 2)
