"""Steering scores of the demo's explanations: on which pictures they are taken, and that a run goes on where it was ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from demo.catalogue import Shown
from demo.claims import claims_by_label
from demo.classes import BACKGROUNDS, ENTITIES
from demo.score_demo import TRIALS, _chosen, probes, steer_scores
from demo.tasks import entity_phrase, with_article
from demo.world import sample_scene
from facet_worker.explain import Explanation
from facet_worker.score import Score
from facet_worker.steer import Asker, Prefix

WORDS = sorted(with_article(entity_phrase(entity)) for entity in ENTITIES)


class Model:
    """Names something, the same for the same feature and picture; `answers` it gives before the power goes."""

    def __init__(self, answers: int = 10**9) -> None:
        self.answers = answers
        self.asked: list[tuple[int, int]] = []

    def read(self, pictures: list[int]) -> Prefix:
        return Prefix(torch.tensor(pictures)[:, None], [])

    def set_on_cells(self, hidden: Tensor, features: Tensor, values: Tensor, cells: Tensor) -> Tensor:
        assert cells.any(1).all()
        return torch.cat([hidden, features[:, None]], 1)

    def open(self, hidden: Tensor) -> Tensor:
        return hidden

    def ask(self, low: object, up: Tensor, question: str) -> list[str]:
        rows = [(int(feature), int(picture)) for picture, feature in up]
        self.asked += rows
        if len(self.asked) > self.answers:
            raise KeyboardInterrupt
        names = list(BACKGROUNDS) if "background" in question else WORDS
        return [names[(feature * 31 + picture * 7) % len(names)] for feature, picture in rows]


class Pictures(Shown):
    def seen(self, numbers: Any) -> Any:
        return list(numbers)


@pytest.fixture(scope="module")
def shown() -> Shown:
    scenes = [sample_scene(seed, "catalogue") for seed in range(60)]
    return Pictures(scenes, [b""] * len(scenes))


def said(index: int, method: str, label: str) -> Explanation:
    return Explanation(index, method, "m", "text", label, None, None, "", "", False, claims_by_label()[label])


ROWS = [
    said(index, method, label)
    for index in range(30)
    for method, label in (("causal", WORDS[index].split(" ", 1)[1]), ("top-places", ("animals", "foods", "red background")[index % 3]))
]


def score(shown: Shown, model: Model, kept: Path | None, rows: list[Explanation] = ROWS) -> list[Score]:
    units = {row.index: 1.0 for row in rows}
    return steer_scores(cast(Asker, model), rows, units, shown, 24, 0, lambda _: None, kept)


def test_no_picture_shows_what_is_tried_whatever_else_is_said_of_the_feature(shown: Shown) -> None:
    places = probes(shown, 24)
    tried = {(row.index, row.method): _chosen(row, places, 0) for row in ROWS}
    for row in ROWS:
        assert row.claim is not None
        ours = tried[row.index, row.method]
        assert 0 < len(ours) <= TRIALS
        assert not any(places[probe].truth.mask(row.claim).any() for probe in ours)
    shows_animals = {n for n, place in enumerate(places) if place.truth.mask(claims_by_label()["animals"]).any()}
    assert any(shows_animals & set(tried[row.index, "causal"]) for row in ROWS), "else this proves nothing"


def test_goes_on_to_the_same_scores_and_asks_nothing_twice(shown: Shown, tmp_path: Path) -> None:
    whole = Model()
    expected = score(shown, whole, tmp_path / "whole.jsonl")
    assert any(row.value for row in expected)
    broken = Model(answers=100)
    kept = tmp_path / "broken.jsonl"
    with pytest.raises(KeyboardInterrupt):
        score(shown, broken, kept)
    lines = kept.read_text()
    kept.write_text(f'[99, false, 0, "a dog"]\n{lines}[1, fal')
    rest = Model()
    assert score(shown, rest, kept) == expected
    assert len(rest.asked) == len(whole.asked) - len(lines.splitlines())


def test_another_explanation_leaves_a_features_trials_as_they_were(shown: Shown) -> None:
    alone = {(row.index, row.explanation): (row.value, row.n) for row in score(shown, Model(), None, ROWS[10:])}
    among = {(row.index, row.explanation): (row.value, row.n) for row in score(shown, Model(), None)}
    assert alone.items() <= among.items()
