"""The one-pass cache against a plain computation, and batched against unbatched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from facet_worker.cache import FeatureCache, Keep, build_caches, load_cache, save_cache
from facet_worker.checkpoint import Checkpoint
from facet_worker.codes import Codes, open_codes
from facet_worker.harvest import Harvester, Item
from facet_worker.neighbours import coactivation, decoder_cosine, nearest
from facet_worker.sae import TopKSae

KEEP = Keep(top=3, band=2, random=2, text=2, sample=6)


def _items(pictures: npt.NDArray[np.uint8]) -> list[Item]:
    return [Item(p, ((7 + i % 5, 8, 12, 6, 13, 3)[: 3 + i % 4],)) for i, p in enumerate(pictures)]


def _build(tiny: Checkpoint, sae: TopKSae, items: list[Item], folder: Path, batch: int) -> tuple[FeatureCache, Codes]:
    caches = build_caches(tiny, {0: sae, 1: sae}, items, {0: folder / "0", 1: folder / "1"}, KEEP, batch, log=lambda _: None)
    return caches[1], open_codes(folder / "1")


@pytest.fixture(scope="module")
def built(
    tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> tuple[FeatureCache, Codes]:
    return _build(tiny, tiny_sae, _items(pictures), tmp_path_factory.mktemp("codes"), 5)


def _dense(
    tiny: Checkpoint, sae: TopKSae, pictures: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
    hidden = Harvester(tiny, [1]).run(_items(pictures))[1]
    every = torch.arange(sae.num_latents)
    image = sae.activation_of(hidden.image, every).half().float().numpy()
    return image, [sae.activation_of(t, every).half().float().numpy() for one in hidden.texts for t in one]


def test_statistics(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], built: tuple[FeatureCache, Codes]) -> None:
    stats = built[0].stats
    image, texts = _dense(tiny, tiny_sae, pictures)
    text = np.concatenate(texts)
    assert stats.image_tokens == image.shape[0] * 16
    assert stats.text_tokens == len(text)
    assert np.allclose(stats.density, (image > 0).mean((0, 1)))
    assert np.allclose(stats.text_density, (text > 0).mean(0))
    assert (stats.images == (image > 0).any(1).sum(0)).all()
    fires = image.max((0, 1)) > 0
    assert np.allclose(stats.max_activation[fires], image.max((0, 1))[fires], rtol=2e-3)
    share = image.sum((0, 1)) / np.maximum(image.sum((0, 1)) + text.sum(0), 1e-9)
    known = ~np.isnan(stats.image_share)
    assert np.allclose(stats.image_share[known], share[known], atol=1e-4)
    assert (stats.hist_counts.sum(1) == stats.active_tokens).all()
    for f in np.flatnonzero(fires)[:10]:
        values = image[..., f][image[..., f] > 0]
        assert (
            stats.hist_counts[f] == np.histogram(values, 32, (0, float(values.max())))[0]
        ).sum() >= 30  # values on an edge may fall either way


def test_top_images_are_those_with_the_largest_mean(
    tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], built: tuple[FeatureCache, Codes]
) -> None:
    image, texts = _dense(tiny, tiny_sae, pictures)
    for f in range(64):
        bands = built[0].examples[f]
        means = image[..., f].mean(1)
        wanted = [i for i in np.argsort(-means, kind="stable")[:3] if means[i] > 0]
        assert [e.item for e in bands["top"]] == wanted
        for e in bands["top"]:
            assert np.allclose(image[e.item, e.positions, f], e.values, rtol=2e-3)
            assert (image[e.item, :, f] > 0).sum() == len(e.positions)
        peaks = [texts[e.item].max(0)[f] for e in bands["text"] if texts[e.item][:, f].any()]
        assert len(bands["text"]) <= 2
        assert all(p > 0 for p in peaks)
        assert all(e.peak > 0 for e in bands["random"])
        ordered = [e.peak for band in ("upper", "middle", "lower") for e in bands[band]]
        assert ordered == sorted(ordered, reverse=True)


def test_batched_equals_unbatched(
    tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], built: tuple[FeatureCache, Codes], tmp_path: Path
) -> None:
    alone, codes = _build(tiny, tiny_sae, _items(pictures), tmp_path, 1)
    assert np.array_equal(alone.stats.images, built[0].stats.images)
    assert np.allclose(alone.stats.density, built[0].stats.density)
    assert np.array_equal(codes.image_indices[..., 0], built[1].image_indices[..., 0])
    for f in range(64):
        for band in ("top", "random", "upper", "middle", "lower", "text"):
            assert [e.item for e in alone.examples[f][band]] == [e.item for e in built[0].examples[f][band]], (f, band)


def test_round_trip(built: tuple[FeatureCache, Codes], tmp_path: Path) -> None:
    save_cache(built[0], tmp_path / "cache.npz")
    again = load_cache(tmp_path / "cache.npz")
    assert again.stats.image_tokens == built[0].stats.image_tokens
    for f in range(64):
        for band, examples in built[0].examples[f].items():
            for a, b in zip(examples, again.examples[f][band], strict=True):
                assert a.item == b.item
                assert np.array_equal(a.positions, b.positions)
                assert np.array_equal(a.values, b.values)


def test_neighbours(tiny_sae: TopKSae, built: tuple[FeatureCache, Codes]) -> None:
    overlap = coactivation(built[1])
    active = np.zeros((0, 64), bool)
    for indices, values in built[1].chunks(7):
        dense = np.zeros((len(indices), 64), bool)
        np.put_along_axis(dense, indices.astype(np.int64), values > 0, 1)
        active = np.concatenate([active, dense])
    a, b = 3, 11
    union = (active[:, a] | active[:, b]).sum()
    assert np.isclose(overlap[a, b], (active[:, a] & active[:, b]).sum() / max(1, union))
    alive = np.asarray(active.any(0))
    rows = nearest(decoder_cosine(tiny_sae.w_dec), "decoder", alive, 4)
    assert all(r.index != r.neighbour and alive[r.neighbour] for r in rows)
    mine = [r.value for r in rows if r.index == rows[0].index]
    assert mine == sorted(mine, reverse=True)
