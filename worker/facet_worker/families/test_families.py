"""Each family as a tiny random model made from its configuration: hook, image positions, grids, clamps in the prompt and in every token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from facet_worker.checkpoint import Checkpoint
from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, check_requested_change, inputs_of_next_block, latents, run
from facet_worker.errors import FacetError
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

LAYER = 1
FORCED = [9, 11, 13]
PICTURE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


# Whose images have tokens beyond their base grid.
TILED = ("llava_next", "idefics3")


def served(sae: TopKSae) -> Dictionary:
    return Dictionary(sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec, "topk", sae.k)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tiny: Checkpoint, tiny_sae: TopKSae) -> tuple[str, TorchEngine]:
    model, processor = FAMILIES[request.param](tiny)
    return request.param, TorchEngine(model, processor, {f"model.layers.{LAYER}": served(tiny_sae)}, request.param, "0" * 64)


def test_places_each_image_where_the_processor_put_it(family: tuple[str, TorchEngine]) -> None:
    name, engine = family
    asked = ask(engine, images=2)
    pictures = [PICTURE, PICTURE[:, :30]]
    prompt = engine.prompter.assemble(asked["messages"], pictures, 4)
    ids = prompt.inputs["input_ids"][0].numpy()
    config = engine.hooked.model.config
    token = getattr(config, "image_token_id", None) or config.image_token_index
    np.testing.assert_array_equal(prompt.layout.image, ids == token)
    assert [(grid.rows, grid.cols) for grid in prompt.layout.images] == [(4, 4)] * 2
    for picture, grid in zip(pictures, prompt.layout.images, strict=True):
        alone = engine.prompter.of_image(picture).layout.images[0]
        assert (len(grid.cells), len(grid.extra)) == (len(alone.cells), len(alone.extra))
    assert (name in TILED) == any(len(grid.extra) for grid in prompt.layout.images)
    # What the vision tower makes of each image is as long as the positions that were found.
    if name == "llava_next":
        features = engine.hooked.model.get_image_features(
            pixel_values=prompt.inputs["pixel_values"], image_sizes=prompt.inputs["image_sizes"]
        ).pooler_output
        assert [len(part) for part in features] == [len(grid.cells) + len(grid.extra) for grid in prompt.layout.images]


def test_clamps_the_prompt_and_every_token_by_what_was_asked_and_nothing_afterwards(family: tuple[str, TorchEngine]) -> None:
    _, engine = family
    sae = engine.served[engine.dictionaries()[0]].sae
    words = {"steered": FORCED, "baseline": FORCED}
    before = run(engine, ask(engine), [PICTURE], force=words)
    active = max(latents(sae, before.hidden["steered"][4]).items(), key=lambda item: item[1])[0]
    clamps = [
        {"feature": active, "op": "ablate", "value": 1.0, "unit": "raw", "scope": {"type": "image"}},
        {"feature": (active + 1) % 64, "op": "add", "value": 5.0, "unit": "raw", "scope": {"type": "all"}},
    ]
    image = engine.prompter.assemble(ask(engine)["messages"], [PICTURE], 4).layout.image
    with inputs_of_next_block(engine, LAYER) as seen:
        out = run(engine, ask(engine, clamps), [PICTURE], force=words)
    prompt, base, *tokens = seen
    states = [np.concatenate([part[0], *(t[arm] for t in tokens)]) for arm, part in enumerate((prompt, base))]

    def covers(clamp: Any, position: int) -> bool:
        return bool(clamp["scope"]["type"] == "all" or (position < len(image) and image[position]))

    assert check_requested_change(sae, clamps, covers, states[0], states[1]) == len(states[0])
    assert len(tokens) == len(FORCED)
    receipt = out.receipts["steered"]
    assert receipt["prefill"]["image"] == {"planned": int(image.sum()), "changed": int(image.sum())}
    assert receipt["decode"] == {"planned": len(FORCED), "changed": len(FORCED)}
    assert not np.array_equal(out.logits["steered"][-1], out.logits["baseline"][-1])
    again = run(engine, ask(engine), [PICTURE], force=words)
    np.testing.assert_array_equal(again.logits["steered"], before.logits["steered"])


def test_writes_what_stock_generate_writes(family: tuple[str, TorchEngine]) -> None:
    _, engine = family
    asked = ask(engine, controls=[], sampling={"maxTokens": 6})
    inputs = engine.prompter.assemble(asked["messages"], [PICTURE], 6).inputs
    with torch.inference_mode():
        whole = engine.hooked.model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    ends = [i for i, token in enumerate(whole) if token in engine.ends]
    assert run(engine, asked, [PICTURE]).ids.get("steered", []) == (whole[: ends[0]] if ends else whole)


def test_reconstructs_as_the_paper_does(family: tuple[str, TorchEngine]) -> None:
    """An independent reference in NumPy: pre-activations, the clamp on every prompt token, TopK, decode; tokens unclamped."""
    _, engine = family
    sae = engine.served[engine.dictionaries()[0]].sae
    w_enc, b_enc, w_dec, b_dec = (part.double().numpy() for part in (sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec))
    feature, strength = 7, 50.0
    asked = ask(
        engine, [{"feature": feature, "value": strength, "scope": {"type": "all"}}], mode="reconstruct", controls=["reconstruction"]
    )
    out = run(engine, asked, [PICTURE], force={"steered": FORCED, "reconstruction": FORCED})
    hidden, given = out.hidden["steered"], out.given["steered"]
    pre = np.maximum((hidden - b_dec) @ w_enc.T + b_enc, 0)
    length = len(hidden) - len(FORCED)
    pre[:length, feature] = strength
    floor = np.sort(pre, axis=1)[:, -int(sae.k or 0), None]
    np.testing.assert_allclose(given, np.where(pre >= floor, pre, 0) @ w_dec + b_dec, atol=1e-3)
    assert out.receipts["steered"]["decode"] == {"planned": 0, "changed": 0}
    assert out.receipts["reconstruction"]["outcome"] == "reconstruction"


def test_refuses_a_hook_that_attaches_nowhere(family: tuple[str, TorchEngine], tiny_sae: TopKSae) -> None:
    _, engine = family
    for hook in ("model.layers.99", "model.vision_tower", "model.embed_tokens"):
        with pytest.raises(FacetError, match=r"attaches nowhere|names no decoder block"):
            TorchEngine(engine.hooked.model, engine.prompter.processor, {hook: served(tiny_sae)}, "m", "0" * 64)
    narrow = Dictionary(torch.zeros(8, 5), torch.zeros(8), torch.zeros(8, 5), torch.zeros(5), "topk", 2)
    with pytest.raises(FacetError, match="width"):
        TorchEngine(engine.hooked.model, engine.prompter.processor, {f"model.layers.{LAYER}": narrow}, "m", "0" * 64)
