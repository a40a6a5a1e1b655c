"""The hook itself: blocks that return a tensor or a tuple."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facet_worker.checkpoint import Checkpoint
from facet_worker.decoder import decoder_blocks
from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, run
from facet_worker.errors import FacetError
from facet_worker.hooked_model import changed_output
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

LAYER = 1
FORCED = [9, 11, 13]
PICTURE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)
CLAMPS = [{"feature": 5, "op": "set", "value": 9.0, "scope": {"type": "all"}}, {"feature": 7, "op": "add", "value": 4.0}]


def served(sae: TopKSae, dtype: torch.dtype = torch.float32) -> Dictionary:
    return Dictionary(sae.w_enc.to(dtype), sae.b_enc, sae.w_dec.to(dtype), sae.b_dec, "topk", sae.k)


def engine_of(model: Any, processor: Any, sae: Dictionary) -> TorchEngine:
    return TorchEngine(model, processor, {f"model.layers.{LAYER}": sae}, "tiny", "0" * 64)


class Block(nn.Module):
    """Returns what it is told to."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, hidden: Tensor) -> Any:
        return self.make(hidden)


def test_changes_the_state_alone_in_a_tensor_and_in_a_tuple() -> None:
    hidden, weights = torch.ones(1, 2, 3), torch.zeros(1, 4)
    with changed_output(block := Block(lambda h: h), lambda h: h + 1):
        out = block(hidden)
    assert isinstance(out, Tensor)
    assert torch.equal(out, hidden + 1)
    for make in (lambda h: (h,), lambda h: (h, weights), lambda h: (h, None, weights)):
        with changed_output(block := Block(make), lambda h: h + 1):
            out = block(hidden)
        assert isinstance(out, tuple)
        assert torch.equal(out[0], hidden + 1)
        assert [*out[1:]] == [*make(hidden)[1:]]
        assert torch.equal(block(hidden)[0], hidden)
    for broken in (lambda h: {"hidden": h}, lambda h: (), lambda h: h[0], lambda h: (weights, h), lambda h: None):
        with pytest.raises(FacetError, match="no hidden state"), changed_output(block := Block(broken), lambda h: h):
            block(hidden)


@contextmanager
def tuples_between(model: Any) -> Iterator[None]:
    """The model's blocks as in older releases: each returns a tuple, and whoever calls it takes the first of it."""
    _, blocks = decoder_blocks(model)

    def unpack(_module: Any, args: Any) -> Any:
        return (args[0][0], *args[1:]) if isinstance(args[0], tuple) else None

    handles = [block.register_forward_pre_hook(unpack) for block in blocks[1:]]
    plain = [block.forward for block in blocks]
    for block, forward in list(zip(blocks, plain, strict=True))[:-1]:
        block.forward = lambda *args, forward=forward, **more: (forward(*args, **more), "weights")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for block, forward in zip(blocks, plain, strict=True):
            block.forward = forward


def test_serves_a_model_whose_blocks_return_tuples_as_one_whose_blocks_return_tensors(tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    model = copy.deepcopy(tiny.model)
    outcomes = []
    force = {"steered": FORCED, "baseline": FORCED}
    engine = engine_of(model, tiny.processor, served(tiny_sae))
    outcomes.append(run(engine, ask(engine, CLAMPS), [PICTURE], force=force))
    with tuples_between(model):
        assert isinstance(decoder_blocks(model)[1][LAYER](torch.zeros(1, 1, 32), position_embeddings=(torch.ones(1, 1, 8),) * 2), tuple)
        engine = engine_of(model, tiny.processor, served(tiny_sae))
        outcomes.append(run(engine, ask(engine, CLAMPS), [PICTURE], force=force))
    for arm in ("steered", "baseline"):
        np.testing.assert_array_equal(outcomes[0].logits[arm], outcomes[1].logits[arm])
        np.testing.assert_array_equal(outcomes[0].given[arm], outcomes[1].given[arm])
    assert not np.array_equal(outcomes[1].logits["steered"], outcomes[1].logits["baseline"])
