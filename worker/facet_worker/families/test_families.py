"""Each family as a tiny random model made from its configuration: hook, image positions, grids, clamps in the prompt and in every token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facet_worker.checkpoint import Checkpoint
from facet_worker.decoder import decoder_block, decoder_blocks
from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, by_arm, check_requested_change, inputs_of_next_block, latents, own_outputs, run
from facet_worker.errors import FacetError
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

LAYER = 1
FORCED = [9, 11, 13]
PICTURE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


# Grids of the two pictures below, side by side in one prompt: dynamic where a family keeps a picture's shape, else square.
DYNAMIC = ("qwen2_5_vl", "qwen3_vl")
# Whose images have tokens beyond their base grid, alone and beside another one.
TILED_ALONE = ("llava_next", "llava_onevision", "idefics3", "smolvlm")
# The families whose decoder is given more behind its first blocks.
DEEPSTACK = ("qwen3_vl",)


def served(sae: TopKSae) -> Dictionary:
    return Dictionary(sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec, "topk", sae.k)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tiny: Checkpoint, tiny_sae: TopKSae) -> tuple[str, TorchEngine]:
    model, processor = FAMILIES[request.param](tiny)
    return request.param, TorchEngine(model, processor, {f"model.layers.{LAYER}": served(tiny_sae)}, request.param, "0" * 64)


def grids_of(name: str, *pictures: Any) -> list[tuple[int, int]]:
    """Rows and columns: cells of 8 × 8 pixels where a family keeps a picture's shape."""
    if name in DYNAMIC:
        return [(round(picture.shape[0] / 8), round(picture.shape[1] / 8)) for picture in pictures]
    return [(4, 4)] * len(pictures)


def test_places_each_image_where_the_processor_put_it(family: tuple[str, TorchEngine]) -> None:
    name, engine = family
    pictures = [PICTURE, PICTURE[:, :30], PICTURE[:16]]
    prompt = engine.prompter.assemble(ask(engine, images=3)["messages"], pictures, 4)
    ids = prompt.inputs["input_ids"][0].numpy()
    config = engine.hooked.model.config
    token = getattr(config, "image_token_id", None) or config.image_token_index
    np.testing.assert_array_equal(prompt.layout.image, ids == token)
    assert [(grid.rows, grid.cols) for grid in prompt.layout.images] == grids_of(name, *pictures)
    placed = [np.sort(np.concatenate([grid.cells, grid.extra])) for grid in prompt.layout.images]
    np.testing.assert_array_equal(np.concatenate(placed), np.flatnonzero(ids == token))
    for picture, grid in zip(pictures, prompt.layout.images, strict=True):
        alone = engine.prompter.of_image(picture).layout.images[0]
        assert (alone.rows, alone.cols, len(alone.cells)) == (grid.rows, grid.cols, len(grid.cells))
        assert bool(len(alone.extra)) == (name in TILED_ALONE)
        # LLaVA-OneVision tiles an image only when it is the only one.
        assert len(grid.extra) == (1 if name == "llava_onevision" else len(alone.extra))
    # What the vision tower makes of each image is as long as the positions that were found.
    if name in ("llava_next", "llava_onevision", *DYNAMIC):
        shown = {key: value for key, value in prompt.inputs.items() if key not in ("input_ids", "attention_mask", "mm_token_type_ids")}
        features = engine.hooked.model.get_image_features(**shown).pooler_output
        assert [len(part) for part in features] == [len(part) for part in placed]


def test_counts_an_images_positions_by_its_size_alone(family: tuple[str, TorchEngine]) -> None:
    """Never more than it takes; a photograph may be stored on its side, which LLaVA-NeXT tiles otherwise."""
    name, engine = family
    base = engine.info()["model"]["grid"]
    for pictures in ([PICTURE], [PICTURE, PICTURE[:, :30], PICTURE[:16]]):
        layout = engine.prompter.assemble(ask(engine, images=len(pictures))["messages"], pictures, 0).layout
        sizes = [picture.shape[:2] for picture in pictures]
        least = engine.prompter.least_positions(sizes, base["rows"] * base["cols"])
        assert len(pictures) * 16 <= least <= layout.length - 4
        if name in ("llava", "gemma3", "paligemma", *DYNAMIC):
            assert least == int(layout.image.sum())
        if name == "llava_next":
            assert least > 0.9 * int(layout.image.sum())
    assert engine.prompter.least_positions([], 16) == 0


def test_tells_markers_and_the_sink_from_words(family: tuple[str, TorchEngine]) -> None:
    _, engine = family
    prompt = engine.prompter.assemble(ask(engine, images=2)["messages"], [PICTURE, PICTURE[:, :30]], 4)
    tokenizer = engine.prompter.processor.tokenizer
    pieces = tokenizer.convert_ids_to_tokens(prompt.inputs["input_ids"][0].tolist())
    layout = prompt.layout
    plain = [piece for piece, marker, image in zip(pieces, layout.template, layout.image, strict=True) if not marker and not image]
    assert plain == ["what", "is", "it", "?"]
    assert np.flatnonzero(layout.sink).tolist() == [0]
    assert not (layout.template & layout.image).any()


def brightest(engine: TorchEngine, picture: Any, lit: Any, beside: list[Any]) -> int:
    """The base grid's cell whose input to the decoder a change of the picture moves most."""
    states, layouts = [], []
    with inputs_of_next_block(engine, -1) as seen:
        for first in (picture, lit):
            prompt = engine.prompter.assemble(ask(engine, images=1 + len(beside))["messages"], [first, *beside], 4)
            engine.hooked.prefill(prompt.inputs, engine.served[engine.dictionaries()[0]].block, lambda hidden: hidden)
            states.append(seen.pop()[0])
            layouts.append(prompt.layout)
    moved = np.linalg.norm(states[1] - states[0], axis=1)
    for other in layouts[0].images[1:]:
        assert moved[other.cells].max() < 1e-4 < moved[layouts[0].images[0].cells].max()
    return int(moved[layouts[0].images[0].cells].argmax())


def test_a_cell_is_the_token_that_sees_that_part_of_the_picture(family: tuple[str, TorchEngine]) -> None:
    """Rows are rows and columns are columns, and the base grid is the whole picture: a patch of light is found where it was put."""
    name, engine = family
    grey = np.full((40, 72, 3), 90, np.uint8)
    rows, cols = grids_of(name, grey)[0]
    for row, col in ((0, 0), (1, cols - 1), (rows - 1, 1), (2, 2)):
        lit = grey.copy()
        lit[row * 40 // rows : (row + 1) * 40 // rows, col * 72 // cols : (col + 1) * 72 // cols] = 255
        assert brightest(engine, grey, lit, []) == row * cols + col
    # Beside another image, LLaVA-OneVision pads a picture to a square: its rows lie in the middle of the grid.
    lit = grey.copy()
    top = (72 - 40) // 2 if name == "llava_onevision" else 0
    height = 72 if name == "llava_onevision" else 40
    lit[max(0, height // rows - top) : 2 * height // rows - top, 72 * (cols - 1) // cols :] = 255
    assert brightest(engine, grey, lit, [PICTURE[:, :30]]) == 1 * cols + cols - 1


def test_clamps_the_prompt_and_every_token_by_what_was_asked_and_nothing_afterwards(family: tuple[str, TorchEngine]) -> None:
    name, engine = family
    sae = engine.served[engine.dictionaries()[0]].sae
    words = {"steered": FORCED, "baseline": FORCED}
    before = run(engine, ask(engine), [PICTURE], force=words)
    prompt = engine.prompter.assemble(ask(engine)["messages"], [PICTURE], 4)
    image = prompt.layout.image
    seen_by_it = before.hidden["steered"][prompt.layout.images[0].cells[3]]
    active = max(latents(sae, seen_by_it).items(), key=lambda item: item[1])[0]
    clamps = [
        {"feature": active, "op": "ablate", "value": 1.0, "unit": "raw", "scope": {"type": "image"}},
        {"feature": (active + 1) % 64, "op": "add", "value": 5.0, "unit": "raw", "scope": {"type": "all"}},
    ]
    with own_outputs(engine, LAYER) as own, inputs_of_next_block(engine, LAYER) as seen:
        out = run(engine, ask(engine, clamps), [PICTURE], force=words)
    states, puts_out = by_arm(seen, 2), by_arm(own, 2)

    def covers(clamp: Any, position: int) -> bool:
        return bool(clamp["scope"]["type"] == "all" or (position < len(image) and image[position]))

    assert check_requested_change(sae, clamps, covers, states[0], states[1], puts_out[1]) == len(states[0])
    assert len(seen) == (2 if name in DEEPSTACK else 1) + len(FORCED)
    # What the hook sees is the block's own output in both arms; what lies between it and the block above is the family's own.
    np.testing.assert_array_equal(puts_out[0], puts_out[1])
    between = np.abs(states[1] - puts_out[1]).max(1)
    np.testing.assert_array_equal(between > 0, np.pad(image, (0, len(FORCED))) if name in DEEPSTACK else np.zeros(len(between), np.bool_))
    receipt = out.receipts["steered"]
    assert receipt["prefill"]["image"] == {"planned": int(image.sum()), "changed": int(image.sum())}
    assert receipt["decode"] == {"planned": len(FORCED), "changed": len(FORCED)}
    assert not np.array_equal(out.logits["steered"][-1], out.logits["baseline"][-1])
    again = run(engine, ask(engine), [PICTURE], force=words)
    np.testing.assert_array_equal(again.logits["steered"], before.logits["steered"])


def stock(engine: TorchEngine, asked: dict[str, Any], pictures: list[Any]) -> list[int]:
    """What `generate` of the model's own class writes, up to its end."""
    most = asked["sampling"]["maxTokens"]
    inputs = engine.prompter.assemble(asked["messages"], pictures, most).inputs
    with torch.inference_mode():
        whole = engine.hooked.model.generate(**inputs, max_new_tokens=most, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    ends = [i for i, token in enumerate(whole) if token in engine.ends]
    return whole[: ends[0]] if ends else whole


def test_writes_what_stock_generate_writes(family: tuple[str, TorchEngine]) -> None:
    _, engine = family
    for pictures in ([PICTURE], [PICTURE, PICTURE[:, :30]]):
        asked = ask(engine, images=len(pictures), controls=[], sampling={"maxTokens": 6})
        assert run(engine, asked, pictures).ids.get("steered", []) == stock(engine, asked, pictures)


def test_answers_prompts_without_an_image(family: tuple[str, TorchEngine]) -> None:
    name, engine = family
    asked = ask(engine, images=0, controls=[], sampling={"maxTokens": 6})
    if name == "paligemma":
        with pytest.raises(FacetError, match="`images` are expected") as caught:
            run(engine, asked, [])
        assert caught.value.code == "invalid_request"
        return
    first = stock(engine, asked, [])
    engine.hooked.restore(None)
    alone = run(engine, asked, [])
    # Positions of an earlier prompt's image are what Qwen-VL would remember.
    run(engine, ask(engine), [PICTURE])
    out = run(engine, asked, [])
    assert out.ids.get("steered", []) == first
    np.testing.assert_array_equal(out.logits["steered"], alone.logits["steered"])
    length = engine.prompter.assemble(asked["messages"], [], 6).layout.length
    clamp = {"feature": 5, "op": "add", "value": 8.0, "scope": {"type": "prompt"}}
    steered = run(engine, ask(engine, [clamp], images=0), []).receipts["steered"]
    assert steered["prefill"] == {"image": {"planned": 0, "changed": 0}, "text": {"planned": length, "changed": length}}
    with pytest.raises(FacetError, match="the prompt has none") as caught:
        run(engine, ask(engine, [{"feature": 5}], images=0), [])
    assert caught.value.code == "clamp_nowhere"


def test_refuses_a_picture_that_the_processor_does_not_take(tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    engine = TorchEngine(*FAMILIES["qwen3_vl"](tiny), {f"model.layers.{LAYER}": served(tiny_sae)}, "m", "0" * 64)
    with pytest.raises(FacetError, match="aspect ratio") as caught:
        run(engine, ask(engine), [np.zeros((2, 500, 3), np.uint8)])
    assert caught.value.code == "invalid_request"


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
    model = engine.hooked.model
    path, blocks = decoder_blocks(model)
    assert len(blocks) == model.config.get_text_config().num_hidden_layers
    tower = next(f"{name}.0" for name, _ in model.named_modules() if name.endswith(("encoder.layers", "visual.blocks")))
    assert all(any(block is module for module in blocks) for block in (decoder_block(model, f"{path}.1"), decoder_block(model, "blocks.1")))
    for hook in ("model.layers.99", "model.vision_tower", "model.embed_tokens", tower, f"somewhere.{tower}"):
        with pytest.raises(FacetError, match=r"attaches nowhere|names no decoder block|names no block|is no block"):
            TorchEngine(model, engine.prompter.processor, {hook: served(tiny_sae)}, "m", "0" * 64)
    narrow = Dictionary(torch.zeros(8, 5), torch.zeros(8), torch.zeros(8, 5), torch.zeros(5), "topk", 2)
    with pytest.raises(FacetError, match="width"):
        TorchEngine(model, engine.prompter.processor, {f"model.layers.{LAYER}": narrow}, "m", "0" * 64)


def test_lists_the_candidates_where_not_exactly_one_list_is_the_decoder(
    family: tuple[str, TorchEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, engine = family
    model = engine.hooked.model
    path, blocks = decoder_blocks(model)
    monkeypatch.setattr(type(model), "get_input_embeddings", lambda _: torch.nn.Embedding(2, 2))
    with pytest.raises(FacetError, match="0 lists of text decoder blocks") as caught:
        decoder_blocks(model)
    assert f"{path} ({len(blocks)} × {type(blocks[0]).__name__})" in str(caught.value)
    assert str(caught.value).count(" × ") == 2


def test_loads_from_a_folder_by_the_stock_classes(family: tuple[str, TorchEngine], tiny_sae: TopKSae, tmp_path: Path) -> None:
    name, engine = family
    hook = f"model.layers.{LAYER}"
    engine.hooked.model.save_pretrained(tmp_path / name)
    engine.prompter.processor.save_pretrained(tmp_path / name)
    tiny_sae.save(tmp_path / hook)
    loaded = TorchEngine.load(tmp_path / name, [tmp_path / hook], unchecked_dictionary=True)
    assert type(loaded.hooked.model) is type(engine.hooked.model)
    assert type(loaded.prompter.processor.image_processor) is type(engine.prompter.processor.image_processor)
    pictures = [PICTURE, PICTURE[:, :30]]
    own, other = (e.prompter.assemble(ask(engine, images=2)["messages"], pictures, 4) for e in (engine, loaded))
    assert own.text == other.text
    assert own.inputs.keys() == other.inputs.keys()
    for key, value in own.inputs.items():
        torch.testing.assert_close(other.inputs[key], value)
    for mine, theirs in zip(own.layout.images, other.layout.images, strict=True):
        np.testing.assert_array_equal(mine.cells, theirs.cells)
    force = {"steered": FORCED, "baseline": FORCED}
    outcomes = [run(e, ask(e, [{"feature": 5, "value": 9.0}], images=2), pictures, force=force) for e in (engine, loaded)]
    np.testing.assert_allclose(outcomes[1].logits["steered"], outcomes[0].logits["steered"], atol=1e-4)


def test_attributes_in_the_passes_that_write_its_answers(family: tuple[str, TorchEngine]) -> None:
    _, engine = family
    plain = ask(engine, controls=[], alternatives=0)
    kept = {name: plain[name] for name in ("dictionary", "messages", "interventions", "mode")}
    counts = {"maxTokens": 4, "limit": 1000, "exact": 2, "alternatives": 2}
    request = {
        **kept,
        **counts,
        "answer": FORCED,
        "position": 2,
        "metric": {"type": "difference", "baseline": 5},
        "method": {"type": "gradient"},
    }
    events = list(engine.attribute(request, [PICTURE], {}, lambda: False))
    result, effects = events[0]["result"], events[1]["effects"]

    def metric(clamps: Any) -> float:
        logits = run(engine, ask(engine, clamps, controls=[]), [PICTURE], force={"steered": FORCED}).logits["steered"][2]
        return float(logits[FORCED[2]]) - float(logits[5])

    everywhere = {"scope": {"type": "all"}}
    assert result["metric"]["value"] == pytest.approx(metric(()), abs=1e-3)
    assert [position["kind"] for position in result["positions"][-2:]] == ["answer", "answer"]
    for one in effects:
        feature = one["feature"]
        assert one["effect"] == pytest.approx(metric(()) - metric([{"feature": feature, "op": "ablate", **everywhere}]), abs=2e-3)
        more, less = (metric([{"feature": feature, "op": "scale", "value": 1 + step, **everywhere}]) for step in (0.01, -0.01))
        assert (more - less) / 0.02 == pytest.approx(one["estimate"], rel=0.05, abs=1e-2)
