"""What a dictionary's rows say in words, against a plain computation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from facet_worker.checkpoint import Checkpoint
from facet_worker.conftest import SPECIALS, WORDS
from facet_worker.dictionaries import Dictionary
from facet_worker.pipeline import vocabulary
from facet_worker.pipeline.vocabulary import COUNT, final_scale, spellings, token_table
from facet_worker.prompting import TextCodec
from facet_worker.sae import TopKSae


def test_tokens_are_the_extreme_products_of_living_features(tiny: Checkpoint, tiny_sae: TopKSae, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copy.deepcopy(tiny.model)
    norm = model.model.language_model.norm
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-0.5, 2, 32))
    scale = final_scale(model, 32)
    torch.testing.assert_close(scale, norm.weight.detach().float(), atol=1e-4, rtol=1e-4)
    codec = TextCodec(tiny.processor.tokenizer)
    words = spellings(codec, 21)
    assert words == [*SPECIALS, *WORDS, "", ""]
    sae = Dictionary(tiny_sae.w_enc, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec, "topk", 6)
    alive = np.arange(64) % 3 > 0
    # Some features at a time.
    monkeypatch.setattr(vocabulary, "_HELD", 10 * 19)
    rows = token_table(model, codec, sae, alive).to_pylist()
    head, embedding = (part.weight.detach().numpy().astype(np.float64) for part in (model.lm_head, model.get_input_embeddings()))
    written = (sae.w_dec.numpy() * norm.weight.detach().numpy()) @ head.T
    wanted = {"writes": -written, "suppresses": written, "reads": -(sae.w_enc.numpy() @ embedding.T)}
    assert len(rows) == 3 * COUNT * int(alive.sum())
    for kind, products in wanted.items():
        own = [row for row in rows if row["kind"] == kind]
        assert sorted({row["index"] for row in own}) == np.flatnonzero(alive).tolist()
        for row in own:
            token = int(np.argsort(products[row["index"]])[row["rank"]])
            assert row["token"] == words[token]
            assert row["value"] == pytest.approx((1 if kind == "suppresses" else -1) * products[row["index"], token], rel=1e-3, abs=1e-4)
    # What a processor would take minutes for is left out.
    monkeypatch.setattr(vocabulary, "MOST_PRODUCTS", 10)
    assert token_table(model, codec, sae, alive).num_rows == 0
