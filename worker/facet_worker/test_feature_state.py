"""States of shards add up to the same in any cut and order; memory is bounded by what is kept; histograms against NumPy's."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet_worker.cache import finished
from facet_worker.errors import FacetError
from facet_worker.feature_state import FeatureState, Keep
from facet_worker.histogram import Histograms

L, CELLS, K = 12, 6, 3
KEEP = Keep(top=2, band=1, random=2, text=2, sample=4, tokens=20)
Codes = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def codes_of(item: int, tokens: int, coarse: bool) -> Codes:
    """Codes [tokens, K] that depend on the item's number alone; `coarse` values make ties."""
    rng = np.random.default_rng([item, tokens])
    indices = np.stack([rng.choice(L, K, replace=False) for _ in range(tokens)])
    raw = rng.integers(0, 3, (tokens, K)).astype(np.float32) if coarse else (rng.normal(1, 3, (tokens, K)) ** 3).astype(np.float32)
    return indices, np.maximum(raw, 0)


def state_of(items: list[int], batch: int = 3, coarse: bool = False) -> FeatureState:
    state = FeatureState(L, KEEP)
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        codes = [codes_of(item, CELLS, coarse) for item in part]
        state.add_images(np.array(part), (2, 3), np.stack([i for i, _ in codes]), np.stack([v for _, v in codes]))
        lead = codes_of(10_000, 2, coarse)
        state.add_lead(*lead, times=len(part))
        for item in part:
            if item % 3:
                state.add_text(item, lead, *codes_of(item + 500, 1 + item % 4, coarse))
    return state


def same(a: FeatureState, b: FeatureState) -> None:
    one, other = a.arrays(), b.arrays()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@settings(max_examples=60, deadline=None)
@given(
    shards=st.lists(st.integers(0, 4), min_size=25, max_size=25),
    order=st.permutations(range(5)),
    batch=st.integers(1, 7),
    coarse=st.booleans(),
    tree=st.booleans(),
)
def test_shards_add_up_to_the_same_in_any_cut_and_order(shards: list[int], order: list[int], batch: int, coarse: bool, tree: bool) -> None:
    whole = state_of(list(range(25)), coarse=coarse)
    parts = [state_of([item for item in range(25) if shards[item] == shard], batch, coarse) for shard in order]
    parts = [FeatureState.of_arrays(part.arrays()) for part in parts]
    if tree:
        parts[3].merge(parts[4])
        parts[1].merge(parts[2])
        parts[1].merge(parts[3])
        parts[0].merge(parts[1])
    else:
        for part in parts[1:]:
            parts[0].merge(part)
    same(parts[0], whole)


def test_a_state_is_what_counting_plainly_gives() -> None:
    items = list(range(40))
    state, dense = state_of(items), np.zeros((40, CELLS, L), np.float64)
    for item in items:
        indices, values = codes_of(item, CELLS, False)
        np.put_along_axis(dense[item], indices, values.astype(np.float16).astype(np.float64), 1)
    cache = finished(state)
    np.testing.assert_array_equal(cache.stats.active_tokens, (dense > 0).sum((0, 1)))
    np.testing.assert_array_equal(cache.stats.images, (dense > 0).any(1).sum(0))
    np.testing.assert_allclose(state.image_sum / 2**24, dense.sum((0, 1)), rtol=0, atol=0)
    np.testing.assert_allclose(state.cell_sum / 2**24, dense.sum(0), rtol=0, atol=0)
    np.testing.assert_array_equal(cache.stats.max_activation, dense.max((0, 1)))
    for feature in range(L):
        means = dense[:, :, feature].mean(1)
        wanted = sorted(np.flatnonzero(means), key=lambda item: (-means[item], item))[:2]
        assert [e.item for e in cache.examples[feature]["top"]] == wanted
        for e in cache.examples[feature]["top"]:
            np.testing.assert_array_equal(dense[e.item, e.positions, feature], e.values)
            assert e.grid == (2, 3)
            assert e.mean == pytest.approx(means[e.item], rel=1e-12)


def test_flags_tell_features_of_fixed_places_and_those_that_always_fire() -> None:
    """Twelve images of 16 cells: feature 0 fires in the whole of each, 1 in one cell of each, 2 in random cells, 3 hardest before the image, 4 on every word, 5 never."""
    rng, dense = np.random.default_rng(2), np.zeros((12, 16, L), np.float32)
    dense[:, :, 0] = 1
    dense[:, 4, 1] = 3
    for image in dense:
        image[rng.choice(16, 2, replace=False), 2] = 1
    dense[:4, 0, 3] = 0.5

    def coded(values: npt.NDArray[np.float32]) -> Codes:
        return np.broadcast_to(np.arange(L), values.shape).copy(), values

    lead, words = np.zeros((2, L), np.float32), np.zeros((4, L), np.float32)
    lead[0, 3] = 10
    words[:, 4] = 1
    state = FeatureState(L, KEEP)
    state.add_images(np.arange(12), (4, 4), *coded(dense))
    state.add_lead(*coded(lead), times=12)
    state.add_text(0, coded(lead), *coded(words))
    stats = finished(state).stats
    assert np.flatnonzero(stats.always_on).tolist() == [0, 4]
    assert np.flatnonzero(stats.sink).tolist() == [1, 3]
    assert np.flatnonzero(~stats.dead).tolist() == [0, 1, 2, 3, 4]
    assert stats.image_share[[0, 1, 2, 4]].tolist() == [1, 1, 1, 0]
    assert stats.density[:5].tolist() == pytest.approx([1, 1 / 16, 1 / 8, 4 / 192, 0])
    assert stats.text_density[4] == 1
    # One image fewer than a place is told by.
    few = FeatureState(L, KEEP)
    few.add_images(np.arange(9), (4, 4), *coded(dense[:9]))
    assert not finished(few).stats.sink.any()


def test_memory_does_not_grow_with_the_images() -> None:
    """Of 4,096 features that all fire on every image: what is held after 1,500 images is what was held after 150, and so is the peak on the way."""
    rng, latents, k = np.random.default_rng(0), 4096, 64
    keep = Keep(top=2, band=1, random=1, text=1, sample=3, tokens=512)

    def held(images: int) -> tuple[int, int]:
        state = FeatureState(latents, keep)
        tracemalloc.start()
        for item in range(0, images, 10):
            values = rng.random((10, 64, k), np.float32) + 0.1
            indices = np.stack([[rng.permutation(latents).reshape(64, k)] for _ in range(10)])[:, 0]
            state.add_images(np.arange(item, item + 10), (8, 8), indices, values)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return state.nbytes, peak

    few, many = held(150), held(1500)
    assert many[0] <= few[0] * 1.02
    assert many[1] <= few[1] * 1.25


@pytest.mark.parametrize("scale", [1e-6, 1.0, 900.0])
def test_a_histogram_is_numpys_but_for_values_at_an_edge(scale: float) -> None:
    rng = np.random.default_rng(1)
    values = (rng.gamma(2.0, scale, (7, 4000))).astype(np.float16)
    histograms = Histograms(7)
    for part in np.split(values, 20, axis=1):
        features = np.repeat(np.arange(7), part.shape[1])
        fires = part.reshape(-1) > 0
        histograms.add(features[fires], part.reshape(-1)[fires])
    maximum = values.max(1).astype(np.float64)
    bins = histograms.to_bins(maximum)
    for feature in range(7):
        positive = values[feature][values[feature] > 0].astype(np.float64)
        exact = np.histogram(positive, 32, (0, maximum[feature]))[0]
        assert bins[feature].sum() == len(positive)
        # Of values spread over a bin, 1/64 lies beyond the middle of a fine bin that an edge cuts.
        assert abs(bins[feature] - exact).sum() <= 0.05 * len(positive)


def test_what_maps_cannot_hold_is_refused() -> None:
    indices, values = codes_of(1, CELLS, False)
    for bad in (70_000.0, np.nan, np.inf):
        wrong = values.copy()
        wrong[2, 1] = bad
        with pytest.raises(FacetError, match="not finite or above 65,504"):
            FeatureState(L, KEEP).add_images(np.array([0]), (2, 3), indices[None], wrong[None])
    state = FeatureState(L, KEEP)
    other: Any = FeatureState(L + 1, KEEP)
    with pytest.raises(FacetError, match="different dictionaries"):
        state.merge(other)
