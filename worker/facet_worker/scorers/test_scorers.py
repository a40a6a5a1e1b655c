"""What is measured of one feature: which pictures, over how many, and beside what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from facet_worker.catalogue import Catalogue, FeatureRecord
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.false_endpoint import question, serving
from facet_worker.endpoint.settings import EndpointSettings
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers.masking import upsampled
from facet_worker.explainers.vocabulary import Label, Vocabulary
from facet_worker.scorers import by_judge, by_pictures, by_steering
from facet_worker.scorers.judges import EndpointJudge, StudiedJudge, read_verdict
from facet_worker.scorers.run import ScoreRun, ScoreSettings, Tools
from facet_worker.small_bundle import write_small_bundle
from facet_worker.studied import StudiedModel, blank, pixels_of
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[3]


def row(index: int, label: str | None, text: str | None = "Some text.") -> Explanation:
    return Explanation(
        index, "causal", "m", text and f"{text} {label}", label, "object", None if text else "no", None, "2026-01-01T00:00:00+00:00"
    )


class Colours:
    """Embeds a picture by its mean colour, and words by the colour that they name."""

    name = "colours"

    def images(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        return np.stack([np.asarray(picture, np.float32).mean((0, 1)) for picture in pictures])

    def text(self, words: str) -> npt.NDArray[np.float32]:
        return self.images([Image.new("RGB", (1, 1), words)])[0]


@pytest.fixture
def small(tmp_path: Path) -> Catalogue:
    write_small_bundle(tmp_path, broken=[3])
    return Catalogue(tmp_path)


@pytest.fixture
def first(small: Catalogue) -> FeatureRecord:
    return next(small.features())


def test_clip_score_over_the_top_pictures_that_can_be_read(small: Catalogue, first: FeatureRecord) -> None:
    found = by_pictures.clip_score(first, small.pictures, Colours(), "red", "blue", 5)
    # Red, green, blue, one that is broken, white; each has one odd corner.
    assert [round(value) for value in found.values] == [100, 0, 0, round(100 / 3**0.5)]
    assert [round(value) for value in found.baselines] == [0, 0, 100, round(100 / 3**0.5)]
    assert found.failures == {"the picture cannot be read": 1}
    made = found.row(0, "causal", "clip", "how")
    assert (made.n, made.value) == (4, pytest.approx(sum(found.values) / 4))


def test_overlap_of_the_upsampled_map_with_where_the_label_is(small: Catalogue, first: FeatureRecord) -> None:
    asked: list[tuple[tuple[int, int], str]] = []

    def finds(sha: str, picture: Image.Image, label: str) -> npt.NDArray[np.bool_]:
        asked.append((picture.size, label))
        if label == "fails":
            raise FacetError("The detector's boxes are not finite.", "engine_failed")
        mask = np.zeros((336, 336), np.bool_)
        mask[:, :84] = label == "left"
        mask[:, 252:] = label == "right"
        return mask

    found = by_pictures.overlap(first, small.pictures, finds, "left", "right", 5)
    # One column of four, and by interpolation up to the middle of the next: 84 of 126.
    width = int((upsampled(first.top[0].values)[0] >= 1e-5).sum())
    assert width in (125, 126)
    assert found.values == [pytest.approx(84 / width)] * 4
    assert found.baselines == [0.0] * 4
    assert found.failures == {"the picture cannot be read": 1}
    assert asked[:2] == [((336, 336), "left"), ((336, 336), "right")]
    failed = by_pictures.overlap(first, small.pictures, finds, "fails", None, 2).row(0, "causal", "iou", "how")
    assert (failed.value, failed.n, failed.failure) == (None, 0, "2 of 2 pictures failed: The detector's boxes are not finite (2).")


def test_monosemanticity_over_the_stored_pictures(small: Catalogue, first: FeatureRecord) -> None:
    colours = Colours()

    def embed(sha: str) -> npt.NDArray[np.float32]:
        return colours.images([small.pictures.load(sha)])[0]

    same = [sha for sha in small.pictures.hashes if sha not in first.shown()][:1] * 9
    found = by_pictures.monosemanticity(first, embed, same)
    shown = [m for m in first.shown().values() if m.rank != 3]
    vectors = np.stack([embed(m.image) for m in shown]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [(a.mean * b.mean, float(vectors[i] @ vectors[j])) for i, a in enumerate(shown) for j, b in enumerate(shown) if i != j]
    assert found.value == pytest.approx(sum(w * s for w, s in pairs) / sum(w for w, _ in pairs), rel=1e-6)
    assert found.baseline == pytest.approx(1)
    made = found.row(0, "causal", "monosemanticity", "how")
    assert (made.n, made.failure) == (4, "1 of 5 pictures failed: the picture cannot be read.")


@pytest.mark.parametrize(
    ("text", "yes"),
    [("Yes.", True), (" no\n", False), ("1", True), ("0", False), ("yes , there is", True), ("no dog", False), ("yes and no", None), ("maybe", None), ("", None), ("10", None)],
)  # fmt: skip
def test_reads_verdicts_or_says_why_not(text: str, yes: bool | None) -> None:
    found = read_verdict(text)
    assert found.yes is yes
    assert (found.failure is None) == (yes is not None)


def test_judges_by_an_endpoint(small: Catalogue, first: FeatureRecord, tmp_path: Path) -> None:
    def behave(body: dict[str, Any], number: int) -> Any:
        said, pictures = question(body), len(body["messages"][0]["content"]) - 1
        if "Does that fit" in said:
            assert pictures == 4
            return "yes" if "red" in said else "no"
        assert pictures == 1
        return "yes" if "red" in said else "perhaps" if number % 5 == 4 else "no"

    pictures = small.pictures
    on, off = [m.image for m in first.top], [sha for sha in pictures.hashes if sha not in first.shown()][:6]
    with serving(behave) as endpoint:
        store = Store(tmp_path / "run")
        judge = EndpointJudge(EndpointAsker(EndpointSettings(endpoint.url, "judge", attempts=1), store))
        fits = by_judge.consistency(first, pictures, judge, row(0, "red"), row(1, "blue"), 5)
        assert (fits.values, fits.baselines, len(fits.asked)) == ([1.0], [0.0], 1)
        always = by_judge.detection(pictures, judge, row(0, "red"), None, on, off)
        # Always yes: right on the 4 that can be read, wrong on the 6.
        assert (always.value, sum(always.values), always.row(0, "causal", "detection", "how").n) == (0.5, 4, 10)
        assert always.failures == {"the picture cannot be read": 1}
        asked = len(endpoint.bodies)
        unsure = by_judge.detection(pictures, judge, row(0, "blue"), row(1, "red"), on, off)
        perhaps = sum(1 for n in range(asked, asked + 10) if n % 5 == 4)
        assert unsure.failures["the judge said neither yes nor no: “perhaps”"] == perhaps == 2
        assert (unsure.value, unsure.baseline, len(unsure.values)) == (0.5, 0.5, 8)
        store.close()
    store = Store(tmp_path / "other")
    gone = EndpointJudge(EndpointAsker(EndpointSettings(endpoint.url, "judge", attempts=1), store))
    failed = by_judge.detection(pictures, gone, row(0, "red"), None, on, off).row(0, "causal", "detection", "how")
    store.close()
    assert (failed.value, failed.n) == (None, 0)
    assert "11 of 11 pictures failed: the endpoint: it could not be reached" in str(failed.failure)


def test_one_kind_of_picture_alone_is_no_detection(small: Catalogue) -> None:
    class Yes:
        name, together = "yes", True

        def shows(self, text: str, label: str | None) -> str:
            return text

        def can_ask(self, label: str | None) -> bool:
            return True

        def verdicts(self, asked: Sequence[Any]) -> list[Any]:
            return [read_verdict("yes") for _ in asked]

    made = by_judge.detection(small.pictures, Yes(), row(0, "red"), None, small.pictures.hashes[:2], []).row(
        0, "causal", "detection", "how"
    )
    assert (made.value, made.n) == (None, 0)
    assert made.failure == "No pictures of both kinds, on which it fires and on which it does not, were found."


def test_a_judge_with_a_vocabulary_is_asked_in_its_own_words_or_not_at_all(small: Catalogue) -> None:
    class Parrot(StudiedModel):
        def __init__(self) -> None:
            self.name, self.batch = "parrot", 1

        def answers(self, asked: Sequence[tuple[Any, str]], max_tokens: int = 16) -> list[str | FacetError]:
            return ["yes" if question == "is there an owl ?" else "no" for _, question in asked]

    known = Vocabulary({"owl": ("owl", "animals")}, {"owl": Label("owl", "object", "an owl"), "animals": Label("animals", "object")})
    judge = StudiedJudge(Parrot(), "is there {label} ?", known)
    run = ScoreRun(
        small, [row(0, "owl"), row(1, "animals")], ScoreSettings(("consistency",)), Tools(judge=judge), Store(small.folder / "run")
    )
    scores, _ = run.run()
    run.store.close()
    assert [(one.index, one.value, one.n, one.failure) for one in scores] == [
        (0, 1.0, 4, "1 of 5 verdicts failed: the picture cannot be read."),
        (1, None, 0, "The judge has no words to be asked about this label."),
    ]


@pytest.fixture(scope="module")
def demo() -> StudiedModel:
    torch.set_num_threads(1)
    engine = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries/model.layers.0"], model_id="facet-emoji")
    return StudiedModel(engine, "facet-emoji/model.layers.0", max_tokens=6)


def test_the_studied_model_detects_and_its_clamp_has_an_effect_that_another_features_lacks(demo: StudiedModel) -> None:
    catalogue = Catalogue(ROOT / "demo/bundle", "model.layers.0")
    records = {record.index: record for record in catalogue.features({17, 18})}
    lion, pear = records[17], records[18]
    on = [m.image for m in lion.top[:3]]
    off = [sha for sha in catalogue.pictures.hashes[:40] if sha not in lion.shown()][:3]
    found = by_judge.detection(catalogue.pictures, StudiedJudge(demo), row(17, "lion"), row(18, "pear"), on, off)
    made = found.row(17, "causal", "detection", "how")
    assert made.n == 6
    assert made.value is not None
    assert made.value >= 0.8
    assert made.baseline is not None
    assert made.baseline <= 0.7
    pictures = [blank(96), *(pixels_of(catalogue.pictures.load(sha)) for sha in off)]
    effect = by_steering.effect(demo, (17, lion.max_activation), (18, pear.max_activation), "lions", pictures, "what is this ?", 8.0)
    assert len(effect.values) == len(effect.baselines) == 4
    assert sum(effect.values) / 4 >= 0.5
    assert sum(effect.baselines) == 0
    anyway = by_steering.effect(demo, (17, lion.max_activation), None, "zebra", pictures[:1], "what is this ?", 8.0)
    assert (anyway.values, anyway.failures) == ([], {"the model names it without the clamp": 1})
    refused = by_steering.effect(demo, (999_999, 1.0), None, "zebra", pictures[:1], "what is this ?", 8.0)
    assert refused.failures.total() == 1


@pytest.mark.parametrize(
    ("label", "answer", "named"),
    [("dog", "two dogs", True), ("red heart", "a heart that is red", True), ("egg", "an eggplant", False), ("red heart", "a heart", False), ("glass", "a glas", False), ("a", "a b", False)],
)  # fmt: skip
def test_names_whole_words(label: str, answer: str, named: bool) -> None:
    assert by_steering.names(label, answer) is named
