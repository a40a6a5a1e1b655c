"""Neighbours of many features at once, against every pair by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from facet_worker.neighbours import coactive_of_draw, decoder_cosine, nearest, nearest_decoder
from facet_worker.token_draw import TokenDraw


def test_the_nearest_are_those_of_all_pairs() -> None:
    generator = np.random.default_rng(0)
    latents, tokens = 40, 300
    draw = TokenDraw(1000)
    # Features come in threes that often fire together; the last four never fire.
    groups = generator.integers(0, 12, (1, tokens, 3))
    indices = np.concatenate([groups * 3 + generator.integers(0, 3, groups.shape) for _ in range(2)], 2)
    indices = np.stack([np.pad(one := np.unique(row), (0, 6 - len(one)), constant_values=one[0]) for row in indices[0]])[None]
    values = np.ones(indices.shape, np.float32)
    values[0, :, 1:][indices[0, :, 1:] == indices[0, :, :1]] = 0
    draw.add(np.array([0]), 0, indices, values)
    fires = np.zeros((tokens, latents), bool)
    np.put_along_axis(fires, indices[0], True, 1)
    alive: npt.NDArray[np.bool_] = np.asarray(fires.any(0), np.bool_)
    assert alive.sum() == 36
    found = coactive_of_draw(draw, latents, alive)
    for f in range(latents):
        union = (fires[:, f, None] | fires).sum(0)
        overlap = (fires[:, f, None] & fires).sum(0) / np.maximum(1, union)
        overlap[f] = 0
        best = np.argsort(-overlap, kind="stable")[:5]
        mine = found["index"] == f
        assert found["neighbour"][mine].tolist() == (best[overlap[best] > 0.05].tolist() if alive[f] else [])
        np.testing.assert_allclose(found["value"][mine].astype(np.float64), overlap[found["neighbour"][mine]], rtol=1e-6)
        assert found["rank"][mine].tolist() == list(range(int(mine.sum())))


def test_decoder_rows_of_living_features() -> None:
    rows = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    alive = np.arange(50) % 7 > 0
    wanted = nearest(decoder_cosine(rows), "decoder", alive)
    found = nearest_decoder(rows, alive)
    assert [(n.index, n.rank, n.neighbour) for n in wanted] == list(
        zip(found["index"].tolist(), found["rank"].tolist(), found["neighbour"].tolist(), strict=True)
    )
    np.testing.assert_allclose(found["value"].astype(np.float64), np.array([n.value for n in wanted]), rtol=1e-5)
    assert len(nearest_decoder(rows, np.arange(50) == 3)["index"]) == 0
