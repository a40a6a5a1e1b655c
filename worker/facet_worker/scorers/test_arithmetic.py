"""Each score's arithmetic against sums written out in plain NumPy, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facet_worker.scorers import arithmetic
from facet_worker.scorers.rows import Measured


def test_clip_score_is_a_hundred_times_the_cosine_and_never_negative() -> None:
    rng = np.random.default_rng(0)
    images, text = rng.normal(size=(6, 5)), rng.normal(size=5)
    wanted = [max(0.0, 100 * sum(a * b for a, b in zip(i, text, strict=True)) / math.sqrt((i**2).sum() * (text**2).sum())) for i in images]
    np.testing.assert_allclose(arithmetic.clip_scores(images, text), wanted)
    assert 0 < sum(value == 0 for value in wanted) < 6
    np.testing.assert_allclose(arithmetic.clip_scores(np.array([[3.0, 4], [4, -3]]), np.array([3.0, 4])), [100, 0], atol=1e-9)
    for bad in (np.zeros((1, 5)), np.full((1, 5), np.nan)):
        with pytest.raises(ValueError, match="zero or not finite"):
            arithmetic.clip_scores(bad, text)


def test_overlap() -> None:
    a, b = np.array([[1, 1, 0], [0, 1, 0]], bool), np.array([[1, 0, 0], [0, 1, 1]], bool)
    assert arithmetic.iou(a, b) == 2 / 4
    assert arithmetic.iou(a, a) == 1
    assert arithmetic.iou(a, ~a) == 0
    assert arithmetic.iou(a & ~a, a & ~a) == 0


def test_balanced_accuracy_counts_both_kinds_alike() -> None:
    assert arithmetic.balanced_accuracy([True, True, False, True], [False, True]) == (3 / 4 + 1 / 2) / 2
    # Always yes is worth nothing, however many of a kind there are.
    assert arithmetic.balanced_accuracy([True] * 9, [False]) == 0.5
    with pytest.raises(ValueError, match="both kinds"):
        arithmetic.balanced_accuracy([True], [])


def test_monosemanticity_is_the_weighted_mean_over_all_pairs() -> None:
    rng = np.random.default_rng(1)
    embeddings, activations = rng.normal(size=(9, 4)), rng.gamma(1.0, size=9) * (rng.random(9) > 0.3)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    top = bottom = 0.0
    for i in range(9):
        for j in range(9):
            if i != j:
                top += activations[i] * activations[j] * float(unit[i] @ unit[j])
                bottom += activations[i] * activations[j]
    found = arithmetic.monosemanticity(embeddings, activations)
    assert found == pytest.approx(top / bottom, rel=1e-12)
    active = activations > 0
    assert arithmetic.monosemanticity(embeddings[active], activations[active] * 1e6) == pytest.approx(found)
    assert arithmetic.monosemanticity(np.array([[1.0, 0], [5, 0], [0, 1]]), np.array([2, 3, 0])) == pytest.approx(1)
    assert arithmetic.monosemanticity(np.array([[1.0, 0], [0, 1]]), np.array([2, 3])) == pytest.approx(0)
    assert arithmetic.monosemanticity(embeddings, np.eye(9)[0]) is None
    assert arithmetic.monosemanticity(embeddings, np.zeros(9)) is None
    for bad in (-activations - 1, np.full(9, np.nan)):
        with pytest.raises(ValueError, match="not negative"):
            arithmetic.monosemanticity(embeddings, bad)


def test_a_row_says_the_mean_over_how_many_and_what_failed() -> None:
    found = Measured([0.5, 1.0], [0.25])
    found.failures.update({"the picture cannot be read": 2, "it hung": 1})
    row = found.row(7, "causal", "iou", "how")
    assert (row.index, row.explanation, row.metric, row.value, row.baseline, row.n, row.method) == (
        7,
        "causal",
        "iou",
        0.75,
        0.25,
        2,
        "how",
    )
    assert row.failure == "3 of 5 pictures failed: the picture cannot be read (2); it hung."
    assert Measured([0.5], []).row(7, "causal", "iou", "how").failure is None
    nothing = Measured().row(7, "causal", "iou", "how")
    assert (nothing.value, nothing.baseline, nothing.n, nothing.failure) == (None, None, 0, "There was nothing to measure.")
