"""The hook itself: blocks that return a tensor or a tuple, weights in bfloat16."""

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
from facet_worker.engine_checks import ask, by_arm, inputs_of_next_block, own_outputs, run
from facet_worker.errors import FacetError
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.hooked_model import changed_output
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

LAYER = 1
FORCED = [9, 11, 13]
PICTURE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)
CLAMPS: list[dict[str, Any]] = [
    {"feature": 5, "op": "set", "value": 9.0, "scope": {"type": "all"}},
    {"feature": 7, "op": "add", "value": 4.0},
]


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


@pytest.mark.parametrize("name", ["llava", "qwen3_vl"])
def test_clamps_in_float32_where_the_weights_are_bfloat16(name: str, tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    model, processor = FAMILIES[name](tiny)
    engine = engine_of(copy.deepcopy(model).to(torch.bfloat16), processor, served(tiny_sae, torch.bfloat16))
    sae = engine.served[engine.dictionaries()[0]].sae
    asked = ask(engine, CLAMPS)
    force = {"steered": FORCED, "baseline": FORCED}
    with own_outputs(engine, LAYER) as own, inputs_of_next_block(engine, LAYER) as seen:
        out = run(engine, asked, [PICTURE], force=force)
    assert out.receipts["steered"]["engine"]["dtype"] == "bfloat16"
    hidden, given = out.hidden["steered"], out.given["steered"]
    image = engine.prompter.assemble(asked["messages"], [PICTURE], 4).layout.image
    on_image = np.pad(image, (0, len(FORCED)))
    # The request in double precision, from the activations that the dictionary gives for these states.
    indices, values = sae.encode(torch.from_numpy(hidden).float())
    now = [torch.where(indices == clamp["feature"], values, 0.0).sum(-1).double().numpy() for clamp in CLAMPS]
    rows = [sae.w_dec[clamp["feature"]].double().numpy() for clamp in CLAMPS]
    wanted = (9.0 - now[0])[:, None] * rows[0] + np.where(on_image, 4.0, 0.0)[:, None] * rows[1]
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(given - hidden, wanted, atol=4e-6)
    rounded = (torch.from_numpy(hidden).bfloat16() + torch.from_numpy(wanted).bfloat16()).double().numpy()
    assert np.abs(rounded - hidden - wanted).max() > 1e-3
    # The block above gets it rounded once, and nothing else is changed.
    steered, base = by_arm(seen, 2)
    puts_out = by_arm(own, 2)[0]
    np.testing.assert_array_equal(puts_out, hidden)
    exact = torch.from_numpy(given).float().bfloat16().double().numpy()
    plain = ~on_image if name == "qwen3_vl" else np.ones(len(given), np.bool_)
    np.testing.assert_array_equal(steered[plain], exact[plain])
    within = 2**-8 * (np.abs(steered) + np.abs(base) + np.abs(given)) + 1e-6
    assert (np.abs(steered - base - wanted) <= within).all()
    receipt = out.receipts["steered"]
    assert receipt["decode"] == {"planned": len(FORCED), "changed": len(FORCED)}
    again = run(engine, ask(engine), [PICTURE], force=force)
    np.testing.assert_array_equal(again.logits["steered"], again.logits["baseline"])
    np.testing.assert_array_equal(again.logits["steered"], out.logits["baseline"])
