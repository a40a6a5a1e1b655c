"""Compiled models keep their hooks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from facet_worker import torch_engine
from facet_worker.checkpoint import Checkpoint
from facet_worker.compiling import check_compiler, compile_blocks, find_compiler
from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, run
from facet_worker.errors import FacetError
from facet_worker.hooked_model import changed_output
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

PICTURE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)
COMPILER = find_compiler()
EVERYWHERE = [{"feature": 5, "op": "set", "value": 9.0, "scope": {"type": "all"}}]
ON_TOKENS = [{"feature": 7, "op": "add", "value": 6.0, "scope": {"type": "generated"}}]


def engine_of(tiny: Checkpoint, sae: TopKSae, blocks: int) -> TorchEngine:
    model: Any = copy.deepcopy(tiny.model)
    del model.model.language_model.layers[blocks:]
    model.config.text_config.num_hidden_layers = blocks
    served = Dictionary(sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec, "topk", sae.k)
    return TorchEngine(model, tiny.processor, {"model.layers.0": served}, "tiny", "0" * 64)


@contextmanager
def behind_the_last_block(engine: TorchEngine) -> Iterator[list[Any]]:
    """What the final norm receives, [B, T, D] a pass."""
    seen: list[Any] = []
    norm = engine.hooked.model.model.language_model.norm
    handle = norm.register_forward_pre_hook(lambda _module, args: seen.append(args[0].detach().clone().numpy()))
    try:
        yield seen
    finally:
        handle.remove()


@pytest.mark.parametrize(
    "backend", ["eager", pytest.param("inductor", marks=pytest.mark.skipif(COMPILER is None, reason="no C++ compiler"))]
)
def test_a_model_of_compiled_blocks_clamps_as_an_uncompiled_one(backend: str, tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    """One request after the other, each with clamps of its own, none of which may stay behind."""
    torch._dynamo.reset()
    # Compiling takes the time, so only the backend that takes little has a block above the hook and arms side by side as well.
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    blocks = 2 if backend == "eager" else 1
    plain, compiled = engine_of(tiny, tiny_sae, blocks), engine_of(tiny, tiny_sae, blocks)
    assert compile_blocks(compiled.hooked.model, backend) == blocks
    exact = 0.0 if backend == "eager" else 1e-4
    logits = []
    controls = ["baseline"] if backend == "eager" else []
    for clamps in ([], EVERYWHERE, [], ON_TOKENS, EVERYWHERE):
        asked = ask(plain, clamps, controls=controls, sampling={"maxTokens": 4})
        states, outcomes = [], []
        for engine in (plain, compiled):
            with behind_the_last_block(engine) as seen:
                outcomes.append(run(engine, asked, [PICTURE]))
            states.append(seen)
        assert outcomes[0].ids == outcomes[1].ids
        for before, after in zip(*states, strict=True):
            np.testing.assert_allclose(after, before, atol=exact, rtol=exact)
        assert outcomes[1].receipts["steered"]["decode"] == outcomes[0].receipts["steered"]["decode"]
        np.testing.assert_allclose(outcomes[1].logits["steered"], outcomes[0].logits["steered"], atol=10 * exact, rtol=exact)
        logits.append(outcomes[1].logits["steered"][-1])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= graphs + 2 * blocks
    np.testing.assert_array_equal(logits[0], logits[2])
    np.testing.assert_array_equal(logits[1], logits[4])
    assert not np.array_equal(logits[0], logits[1])


def test_attributes_through_compiled_blocks_as_through_uncompiled_ones(tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    """With the graphs that are compiled for a gradient, and with those where memory is short."""
    torch._dynamo.reset()
    plain, compiled = engine_of(tiny, tiny_sae, 2), engine_of(tiny, tiny_sae, 2)
    compile_blocks(compiled.hooked.model, "aot_eager")
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    asked = ask(plain, EVERYWHERE, controls=[])
    request = {
        **{name: asked[name] for name in ("dictionary", "messages", "interventions", "mode")},
        **{"answer": [9, 11], "maxTokens": 2, "position": 1, "metric": {"type": "difference"}, "method": {"type": "gradient"}},
        **{"limit": 50, "exact": 1, "alternatives": 0},
    }
    for short in (False, True):
        events = [list(engine.attribute(request, [PICTURE], {}, lambda: False, lambda _: short)) for engine in (plain, compiled)]  # noqa: B023
        results = [next(event["result"] for event in each if event["type"] == "result") for each in events]
        effects = [{e["feature"]: e["effect"] for event in each for e in event.get("effects", ())} for each in events]
        estimates = [{row["feature"]: row["estimate"] for row in result["rows"]} for result in results]
        assert max(abs(value) for value in estimates[0].values()) > 1e-3
        assert estimates[1] == pytest.approx(estimates[0], abs=1e-5)
        assert effects[1] == pytest.approx(effects[0], abs=1e-5)
        assert results[1]["metric"]["value"] == pytest.approx(results[0]["metric"]["value"], abs=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > graphs


def test_compiles_while_loading_where_it_is_asked_to(tiny_folder: Path, tiny_sae: TopKSae, tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(torch_engine, "compile_blocks", lambda model, backend: asked.append((type(model).__name__, backend)))
    tiny_sae.save(tmp_path / "model.layers.0")
    for compiler in (None, "inductor"):
        TorchEngine.load(tiny_folder, [tmp_path / "model.layers.0"], unchecked_dictionary=True, compiler=compiler)
    assert asked == [("LlavaForConditionalGeneration", "inductor")]


def test_says_what_is_missing_where_nothing_could_compile(monkeypatch: Any) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(FacetError, match="C\\+\\+ compiler") as caught:
        check_compiler("cpu")
    assert caught.value.code == "engine_unavailable"
    check_compiler("cuda:0")


def test_a_hook_that_a_compiled_model_passes_by_is_caught() -> None:
    """Compiled as a whole, a model does not see hooks that come later: the run ends in an error, never in text without the clamp."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    hidden = torch.randn(1, 3, 4)
    whole = torch.compile(model, backend="eager")
    before = whole(hidden)
    with changed_output(model[0], lambda h: h + 1):
        assert not torch.equal(model(hidden), before)
    with pytest.raises(FacetError, match="passed the hook 0 times"), changed_output(model[0], lambda h: h + 1):
        assert torch.equal(whole(hidden), before)
