"""An explanation needs agreement; without it the reason is recorded. Scores are what they say."""

from __future__ import annotations

import numpy as np

from facet_worker.explain import Agreement, Cell, Claim, Explanation, agree, explanation_of
from facet_worker.score import activation_mask, intersection_over_union, wilson

DOG = Claim("entity", "dog", "dog", "object", 0)
ANIMAL = Claim("kind", "animal", "animals", "object", 3)
CAT = Claim("entity", "cat", "cat", "object", 0)


def _cell(name: str, *claims: set[Claim]) -> Cell:
    return Cell(name, tuple(frozenset(c) for c in claims), tuple("…" for _ in claims))


def test_the_most_exact_shared_claim_wins() -> None:
    found = agree([_cell("1×", {DOG, ANIMAL}), _cell("2×", {DOG, ANIMAL}), _cell("4×", {CAT, ANIMAL})], frozenset(), 0.6, 2)
    assert isinstance(found, Agreement)
    assert found.claim == DOG
    assert found.conditions == ("1×", "2×")
    found = agree([_cell("1×", {DOG, ANIMAL}), _cell("2×", {CAT, ANIMAL})], frozenset(), 0.6, 2)
    assert isinstance(found, Agreement)
    assert found.claim == ANIMAL
    assert found.share == 1


def test_what_is_seen_anyway_proves_nothing() -> None:
    found = agree([_cell("1×", {DOG}), _cell("2×", {DOG})], frozenset({DOG}), 0.6, 2)
    assert isinstance(found, str)
    assert "nothing new" in found


def test_wordings_have_to_agree() -> None:
    cells = [_cell("1×", {DOG}, {CAT}), _cell("2×", {DOG}, {DOG})]
    assert isinstance(agree(cells, frozenset(), 0.6, 2, wordings=2), str)
    assert isinstance(agree(cells, frozenset(), 0.6, 2, wordings=1), Agreement)


def test_failures_are_rows_with_a_reason() -> None:
    found = agree([_cell("1×", {DOG}), _cell("2×", {CAT}), _cell("4×", set())], frozenset(), 0.6, 2)
    row = explanation_of(5, "causal", "m", "what ?", "2026-01-01T00:00:00+00:00", found, lambda a: a.claim.label)
    assert isinstance(row, Explanation)
    assert row.text is None
    assert row.label is None
    assert row.failure
    assert "do not agree" in row.failure
    empty = agree([], frozenset(), 0.6, 2)
    assert isinstance(empty, str)
    told = explanation_of(
        5, "causal", "m", "what ?", "2026-01-01T00:00:00+00:00", Agreement(DOG, ("1×", "2×"), 3), lambda a: f"a {a.claim.label}"
    )
    assert (told.text, told.label, told.concept, told.failure) == ("a dog", "dog", "object", None)


def test_masks_and_overlap() -> None:
    values = np.array([[0.0, 1.0, 4.0, 0.5], [0, 0, 0, 0]], np.float32)
    mask = activation_mask(values, 0.25)
    assert mask.tolist() == [[False, True, True, False], [False] * 4]
    truth = np.array([[False, False, True, True], [False] * 4])
    assert intersection_over_union(mask, truth).tolist() == [1 / 3, 0.0]


def test_wilson() -> None:
    low, high = wilson(8, 10)
    assert abs(low - 0.490) < 0.002
    assert abs(high - 0.943) < 0.002
    assert wilson(0, 0) == (0.0, 1.0)
