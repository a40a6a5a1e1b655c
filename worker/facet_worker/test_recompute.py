"""Attributions whose activations are computed again in the backward pass: the same numbers in less memory, and nothing left behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from facet_worker import recompute
from facet_worker.checkpoint import Checkpoint
from facet_worker.decoder import decoder_blocks
from facet_worker.dictionaries import Dictionary
from facet_worker.engine import AttributionSize
from facet_worker.engine_checks import ask
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.sae import TopKSae
from facet_worker.serve.admission import RunSize
from facet_worker.torch_engine import TorchEngine

PICTURES = [np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 70, 3), (64, 64, 3))]
ANSWER = [9, 11, 13, 9, 11]
METHODS: list[dict[str, Any]] = [{"type": "gradient"}, {"type": "integrated", "steps": 2}]


@pytest.fixture(scope="module", params=["llava_next", "gemma3", "qwen3_vl"])
def engine(request: pytest.FixtureRequest, tiny: Checkpoint, tiny_sae: TopKSae) -> TorchEngine:
    """Tiles; windows of attention that let go of keys; states that are added to behind the first blocks."""
    model, processor = FAMILIES[request.param](tiny)
    s = tiny_sae
    return TorchEngine(
        model, processor, {"model.layers.0": Dictionary(s.w_enc, s.b_enc, s.w_dec, s.b_dec, "topk", s.k)}, request.param, "0" * 64
    )


def asked(engine: TorchEngine, method: Any) -> dict[str, Any]:
    clamp = {"feature": 3, "op": "add", "value": 2.0, "scope": {"type": "all"}}
    plain = ask(engine, [clamp], text="what is it ?", images=2)
    kept = {name: plain[name] for name in ("dictionary", "messages", "interventions", "mode")}
    metric = {"type": "logprob", "from": 1, "to": 5}
    return {
        **kept, "answer": ANSWER, "maxTokens": 5, "position": 4, "metric": metric, "method": method, "limit": 1000, "exact": 2,
        "alternatives": 2,
    }  # fmt: skip


def events(engine: TorchEngine, method: Any, again: bool) -> tuple[list[dict[str, Any]], AttributionSize]:
    told: list[AttributionSize] = []

    def admit(size: AttributionSize) -> bool:
        told.append(size)
        return again

    return list(engine.attribute(asked(engine, method), PICTURES, {}, lambda: False, admit)), told[0]


@contextmanager
def kept_bytes(model: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What is kept for a gradient while this is open, weights left out: one number at the end. What a block is to run on once more is counted too."""
    weights = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    storages: dict[int, Tensor] = {}
    out: list[int] = []

    def keep(part: Tensor) -> Tensor:
        if part.untyped_storage().data_ptr() not in weights:
            # Held, so that no other gets its address.
            storages[part.untyped_storage().data_ptr()] = part
        return part

    def noted(one: Any, **more: Any) -> Any:
        for value in (*one.args, *one.kwargs.values(), one.layer.keys, one.layer.values):
            if isinstance(value, Tensor):
                keep(value)
        return checkpoint(one, **more)

    with monkeypatch.context() as patch, torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        patch.setattr(recompute, "checkpoint", noted)
        yield out
    out.append(sum(part.untyped_storage().nbytes() for part in storages.values()))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["type"])
def test_gives_the_same_numbers_and_leaves_the_model_as_it_was(engine: TorchEngine, method: dict[str, Any]) -> None:
    _, blocks = decoder_blocks(engine.hooked.model)
    plain, _ = events(engine, method, False)
    again, _ = events(engine, method, True)
    kept, recomputed = plain[0]["result"], again[0]["result"]
    assert recomputed["sums"] == pytest.approx(kept["sums"], rel=1e-5, abs=1e-6)
    assert [row["feature"] for row in recomputed["rows"]] == [row["feature"] for row in kept["rows"]]
    for one, other in zip(kept["rows"], recomputed["rows"], strict=True):
        assert other["at"]["positions"] == one["at"]["positions"]
        assert other["at"]["values"] == pytest.approx(one["at"]["values"], rel=1e-5, abs=1e-6)
    assert max(abs(row["estimate"]) for row in kept["rows"]) > 1e-2
    effects = [[one for event in told if event["type"] == "measured" for one in event["effects"]] for told in (plain, again)]
    for before, after in zip(*effects, strict=True):
        assert after == {
            "feature": before["feature"],
            "estimate": pytest.approx(before["estimate"], rel=1e-4),
            "effect": pytest.approx(before["effect"], abs=1e-4),
        }
    assert not any("forward" in vars(block) for block in blocks)


def test_keeps_no_more_than_is_estimated_and_far_less_where_it_computes_again(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine.hooked.model
    size = RunSize.of(model.config.get_text_config(), engine.hooked.dtype)
    held = {}
    for again in (False, True):
        with kept_bytes(model, monkeypatch) as found:
            _, told = events(engine, METHODS[0], again)
        held[again] = found[0]
    blocks = len(decoder_blocks(model)[1])
    assert told == AttributionSize(
        told.positions, 4, False, blocks - 1, 2 if engine.served[engine.dictionaries()[0]].abilities.shared else 1
    )
    estimate = size.kept(told, False)
    assert held[False] <= estimate <= 4 * held[False]
    assert held[True] < 0.35 * held[False]
    assert held[True] <= size.kept(told, True) < estimate


def test_holds_on_to_nothing_where_it_is_cancelled_before_its_gradient(engine: TorchEngine) -> None:
    gc.collect()
    before = sum(type(one) is Tensor for one in gc.get_objects())
    for _ in range(2):
        asked_so_often: list[int] = []

        def cancelled(seen: list[int] = asked_so_often) -> bool:
            seen.append(1)
            return len(seen) > 1

        left = engine.attribute(asked(engine, METHODS[0]), PICTURES, {}, cancelled, lambda _: True)
        with pytest.raises(Exception, match="cancelled"):
            next(left)
        del left
    gc.collect()
    assert sum(type(one) is Tensor for one in gc.get_objects()) <= before + 4
