"""Activations of an input against the paper's formula in NumPy on states that were captured apart from the engine's own hook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from facet_worker.checkpoint import Checkpoint
from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, latents, own_outputs
from facet_worker.errors import FacetError
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

LAYER = 1
PICTURES = [np.random.default_rng(i).integers(0, 256, (40, 40 + 30 * i, 3), dtype=np.uint8) for i in range(2)]


# Tiles and newline tokens; grids of the pictures' own shapes; a picture that sees itself both ways.
@pytest.mark.parametrize("name", ["llava_next", "qwen2_5_vl", "gemma3"])
def test_tells_images_and_words_apart_whole_and_token_by_token(name: str, tiny: Checkpoint, tiny_sae: TopKSae) -> None:
    sae = Dictionary(tiny_sae.w_enc, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec, "topk", tiny_sae.k)
    engine = TorchEngine(*FAMILIES[name](tiny), {f"model.layers.{LAYER}": sae}, name, "0" * 64)
    plain = ask(engine, images=2)
    request = {"dictionary": plain["dictionary"], "messages": plain["messages"], "limit": 200, "perToken": 3}
    admitted: list[int] = []
    with own_outputs(engine, LAYER) as seen:
        found = engine.activations(request, PICTURES, lambda: False, admitted.append)
    states = seen[0][0]
    codes = [latents(sae, state) for state in states]
    layout = engine.prompter.assemble(plain["messages"], PICTURES, 0).layout
    assert admitted == [len(states)]
    assert found["dictionary"] == {"ref": f"{name}/model.layers.{LAYER}", "hook": f"model.layers.{LAYER}", "sha256": sae.sha256}

    def check(part: Any, places: Any) -> None:
        """Every feature's sparse map over these positions, strongest mean first."""
        expected: dict[int, dict[int, float]] = {}
        for at, place in enumerate(places):
            for feature, value in codes[place].items():
                expected.setdefault(feature, {})[at] = value
        assert part["total"] == len(expected) > 0
        listed = {row["index"]: row for row in part["features"]}
        assert set(listed) == set(expected)
        for feature, heights in expected.items():
            row = listed[feature]
            assert row["map"]["positions"] == list(heights)
            np.testing.assert_allclose(row["map"]["values"], list(heights.values()), rtol=1e-4, atol=1e-4)
            assert row["mean"] == pytest.approx(sum(heights.values()) / len(places), rel=1e-4)
        means = [row["mean"] for row in part["features"]]
        assert means == sorted(means, reverse=True)

    for image, grid in zip(found["images"], layout.images, strict=True):
        assert (image["rows"], image["cols"]) == (grid.rows, grid.cols)
        check(image, grid.cells)
    assert found["text"]["tokens"] == ["what", "is", "it", "?"]
    check(found["text"], found["text"]["positions"])
    assert not set(found["text"]["positions"]) & set(np.flatnonzero(layout.image | layout.template).tolist())

    tokens = found["tokens"]
    assert len(tokens) == len(states) == found["prompt"]["imageTokens"] + found["prompt"]["textTokens"]
    for i, grid in enumerate(layout.images):
        assert [tokens[at]["cell"] for at in grid.cells] == [{"image": i, "cell": cell} for cell in range(grid.rows * grid.cols)]
        # Tiles and newline tokens are the image's and no cell of its grid.
        assert all((tokens[at]["kind"], tokens[at]["cell"]) == ("image", None) for at in grid.extra)
    for token, own in zip(tokens, codes, strict=True):
        strongest = sorted(own.items(), key=lambda item: -item[1])[:3]
        assert [feature["index"] for feature in token["features"]] == [index for index, _ in strongest]
        np.testing.assert_allclose([feature["value"] for feature in token["features"]], [value for _, value in strongest], atol=1e-4)
    # Without `perToken` the positions are left out, and `limit` cuts the lists and not their count.
    short = engine.activations({**request, "limit": 1, "perToken": None}, PICTURES, lambda: False)
    assert "tokens" not in short
    assert short["text"] == {**found["text"], "features": found["text"]["features"][:1]}
    with pytest.raises(FacetError) as caught:
        engine.activations(request, PICTURES, lambda: True)
    assert caught.value.code == "cancelled"
