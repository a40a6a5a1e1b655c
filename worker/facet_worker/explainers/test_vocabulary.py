"""Answers read by a vocabulary: exact before broad, nothing that is said anyway, and nothing invented."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from facet_worker.catalogue import Catalogue
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers.outcome import CAUSAL, TOP_IMAGES
from facet_worker.explainers.run import ExplainReport, ExplainRun, ExplainSettings
from facet_worker.explainers.vocabulary import Label, Vocabulary
from facet_worker.small_bundle import SILENT, write_small_bundle
from facet_worker.studied import Said, Steered, SteerJob, StudiedModel

PHRASES = {"owl": ("owl", "animals"), "red owl": ("red owl", "owl", "animals"), "cat": ("cat", "animals"), "car": ("car",)}
KNOWN = Vocabulary(PHRASES, {name: Label(name, "object") for name in ("owl", "animals", "red owl", "cat", "car")})
QUESTIONS = ("what is this ?", "name it .")


class Model(StudiedModel):
    """Its answers are known: by feature where one is set, by how bright a picture is where it looks."""

    def __init__(self, steered: Mapping[int, Sequence[str]], bright: Sequence[str], dark: str) -> None:
        self.name, self.batch, self.said, self.bright, self.dark, self.asked = "small", 2, steered, bright, dark, 0

    def steered(self, jobs: Sequence[SteerJob]) -> list[Steered | FacetError]:
        self.asked += len(jobs)
        told = [self.said.get(job.feature, ["a car"] * 4) for job in jobs]
        return [
            Steered(Said(None, "a car", "stop", True), tuple(Said(v, t, "stop", True) for v, t in zip(job.values, said, strict=True)))
            for job, said in zip(jobs, told, strict=True)
        ]

    def answers(self, asked: Sequence[tuple[Any, str]], max_tokens: int = 16) -> list[str | FacetError]:
        self.asked += len(asked)
        # All dark, all of a picture has one brightness; with a place in the light, it has two.
        lit = [int(picture.max()) - int(picture[8:-8, 8:-8].min()) > 60 for picture, _ in asked]
        seen = iter(range(len(asked)))
        return [self.bright[next(seen) // len(QUESTIONS) % len(self.bright)] if one else self.dark for one in lit]


def go(folder: Path, model: StudiedModel, *, retry: bool = False, **more: Any) -> tuple[dict[tuple[int, str], Explanation], ExplainReport]:
    settings = ExplainSettings(
        (CAUSAL, TOP_IMAGES), question=QUESTIONS[0], also=QUESTIONS[1:], vocabulary=KNOWN, looks=True, side=8, **more
    )
    store = Store(folder / "run")
    try:
        rows, report = ExplainRun(Catalogue(folder / "bundle"), settings, store, None, model).run(retry_failed=retry)
    finally:
        store.close()
    return {(row.index, row.method): row for row in rows}, report


def test_the_longest_phrase_is_read_and_a_part_of_a_word_is_none() -> None:
    assert KNOWN.claims("A red  owl, and a Cat") == {"red owl": 0, "owl": 1, "animals": 2, "cat": 0}
    assert KNOWN.claims("owls in a carpark") == {}


def test_the_narrowest_label_that_enough_strengths_share_and_that_is_not_said_anyway(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    answers = {
        0: ["a car", "a cat", "a red owl", "a red owl"],
        1: ["a car", "a car", "a cat", "an owl"],
        2: ["a car", "a car", "a car", "a cat"],
    }
    model = Model(answers, ["nothing"], "nothing")
    rows, report = go(tmp_path, model)
    assert (rows[0, CAUSAL].label, rows[0, CAUSAL].concept, rows[0, CAUSAL].author) == ("red owl", "object", "small")
    assert rows[0, CAUSAL].text == "Set on all of an empty picture to 4× and 8× its maximum, it makes the model say “a red owl”."
    assert rows[1, CAUSAL].label == "animals"
    assert "“a cat”, “an owl”" in str(rows[1, CAUSAL].text)
    assert (rows[2, CAUSAL].text, rows[2, CAUSAL].label) == (None, None)
    assert "do not agree" in str(rows[2, CAUSAL].failure)
    assert "nothing new" in str(rows[SILENT, CAUSAL].failure)
    assert str(rows[0, CAUSAL].prompt).startswith(
        "what is this ? name it . (an empty picture; the feature set on all of it to 1, 2, 4, 8 times its maximum; the"
    )
    assert report.failed[CAUSAL] == {"disagree": 1, "nothing_new": 1}
    assert report.labelled == 2
    asked = model.asked
    assert go(tmp_path, model)[0] == rows
    assert model.asked == asked


def test_top_pictures_have_to_agree_in_the_bright(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    rows, report = go(tmp_path, Model({}, ["an owl", "a red owl", "an owl", "a cat", "an owl"], "a car"), pictures=5, wordings=2)
    row = rows[0, TOP_IMAGES]
    assert (row.label, row.concept) == ("owl", "object")
    assert row.text == "Of 4 of its 5 top pictures, dark where it is silent, the model says “an owl”, “a red owl”."
    assert rows[SILENT, TOP_IMAGES].failure is not None
    assert report.failed[TOP_IMAGES]["no_images"] == 1


def test_what_is_said_of_the_dark_picture_too_explains_nothing(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    rows, report = go(tmp_path, Model({}, ["an owl"], "an owl"))
    assert report.explained[TOP_IMAGES] == 0
    assert report.failed[TOP_IMAGES] == {"nothing_new": 3, "no_images": 1}
    assert rows[0, TOP_IMAGES].label is None


@pytest.mark.parametrize("where", ["bright", "dark"])
def test_an_answer_that_failed_gives_no_label_and_is_asked_again(tmp_path: Path, where: str) -> None:
    write_small_bundle(tmp_path / "bundle")
    model = Model({}, ["an owl"], "a car")
    fails = {"bright": "an owl", "dark": "a car"}[where]
    whole = model.answers

    def failing(asked: Sequence[tuple[Any, str]], max_tokens: int = 16) -> list[str | FacetError]:
        return [FacetError("The memory is full.") if said == fails else said for said in whole(asked, max_tokens)]

    model.answers = failing  # type: ignore[method-assign]
    rows, report = go(tmp_path, model)
    assert report.failed[TOP_IMAGES] == {"engine": 3, "no_images": 1}
    assert rows[0, TOP_IMAGES].failure == "The model could not be asked: The memory is full."
    model.answers = whole  # type: ignore[method-assign]
    rows, report = go(tmp_path, model, retry=True)
    assert (report.explained[TOP_IMAGES], rows[0, TOP_IMAGES].label) == (3, "owl")


def test_needs_a_vocabulary_to_read_its_own_pictures_by(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    store = Store(tmp_path / "run")
    with pytest.raises(FacetError, match="no vocabulary"):
        ExplainRun(Catalogue(tmp_path / "bundle"), ExplainSettings((TOP_IMAGES,), looks=True), store, None, Model({}, [""], ""))
    store.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no vocabulary"),
        ("{", "is no vocabulary"),
        (json.dumps({"phrases": {"owl": ["owl"]}, "labels": {}}), "does not describe every label of “owl”"),
        (json.dumps({"phrases": {}, "labels": {"owl": {"concept": "bird"}}}), "an unknown concept class, bird"),
    ],
)
def test_a_broken_vocabulary_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "words.json").write_text(content)
    with pytest.raises(FacetError, match=said):
        Vocabulary.load(tmp_path / "words.json")
