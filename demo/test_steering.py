"""What the steering effect is counted with, on the committed model: things go away when what tells them does, and stay otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from demo.catalogue import Catalogue, random_chat
from demo.claims import Truth
from demo.classes import CLASSES
from demo.clean_features import Clean
from demo.steering_ablation import Ablations, shown
from demo.steering_forms import FORMS, Asked, pose, replies, says
from demo.steering_page import BEGIN, END, into_page, markdown
from demo.steering_trials import Trial, names, stages, trials, well_formed
from demo.steering_unrelated import questions
from demo.steering_where_read import BEGIN as READ_BEGIN
from demo.steering_where_read import END as READ_END
from demo.steering_where_read import draw_pairs, measure_block
from demo.steering_where_read import markdown as where_read
from demo.tasks import WORDINGS
from demo.world import MODEL_PX, Scene, render, sample_scene
from facet_worker.checkpoint import load_checkpoint
from facet_worker.sae import TopKSae
from facet_worker.steer import Asker

DEMO = Path(__file__).parent
QUESTION = WORDINGS["caption"][0]


def _catalogue(scenes: list[Scene]) -> Catalogue:
    pixels = np.stack([render(s, MODEL_PX) for s in scenes])
    return Catalogue(scenes, [b""] * len(scenes), pixels, [random_chat(s, np.random.default_rng(s.seed)) for s in scenes])


@pytest.fixture(scope="module")
def alone() -> Catalogue:
    """Six scenes, each with one thing, of different classes."""
    found: dict[int, Scene] = {}
    seed = 0
    while len(found) < 6:
        scene = sample_scene(seed, "catalogue")
        seed += 1
        if len(scene.objects) == 1:
            found.setdefault(scene.objects[0].cls, scene)
    return _catalogue(list(found.values()))


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(load_checkpoint(DEMO / "model"), 0, TopKSae.load(DEMO / "dictionaries/model.layers.0"))


def test_a_thing_goes_with_everything_that_fires_on_it_and_stays_with_random_features(asker: Asker, alone: Catalogue) -> None:
    alive = np.arange(asker.sae.num_latents)
    own = {s.objects[0].cls: [0, 1] for s in alone.scenes}
    measured = Ablations(asker, alone, own, alive, np.random.default_rng(0)).measure(1, QUESTION, 56)
    rows: dict[str, Any] = {row["what"]: row for row in measured["rows"]}
    assert measured["named_before"]["share"] == 1
    assert rows["everything"]["gone"]["share"] == 1
    assert rows["own"]["gone_control"]["share"] <= 1 / 6
    assert rows["writers 32"]["gone"]["share"] >= rows["writers 4"]["gone"]["share"]
    assert rows["writers 32"]["features"] > 16


def test_shown_finds_the_cells_that_the_thing_touches(alone: Catalogue) -> None:
    jobs = shown(alone, [s.objects[0].cls for s in alone.scenes], 1)
    assert len(jobs) == 6
    for job in jobs:
        truth = Truth(alone.scenes[job.image])
        assert job.cls == truth.scene.objects[0].cls
        assert truth.shown[0].sum() <= job.cells.sum() < job.cells.size


@pytest.fixture(scope="module")
def several() -> Catalogue:
    return _catalogue([sample_scene(seed, "catalogue") for seed in range(24)])


def test_trials_never_show_their_class(several: Catalogue) -> None:
    rng = np.random.default_rng(1)
    scenes = stages(several, 10, rng)
    made = trials([Clean(3, 0, 1.0), Clean(4, 9, 1.0)], scenes, 2, rng)
    assert len({(t.feature, t.scene) for t in made}) == 4
    for trial in made:
        stage = scenes[trial.scene]
        assert all(o.cls != trial.cls for o in stage.truth.scene.objects)
        assert not (stage.own & stage.empty).any()
        assert not stage.truth.shown[:, stage.empty].any()


def test_unrelated_questions_are_about_other_things(several: Catalogue) -> None:
    rng = np.random.default_rng(1)
    scenes = stages(several, 10, rng)
    made = [Trial(0, cls, n, "object", 4.0, None) for n in range(len(scenes)) for cls in range(0, len(CLASSES), 12)]
    for trial, q in zip(made, questions(made, scenes, rng), strict=True):
        stage, words = scenes[trial.scene], f" {q.asked} {q.answer} "
        assert f" {CLASSES[trial.cls].name} " not in words
        assert f" the {stage.own_place} " not in words
        assert f" {CLASSES[stage.own_cls].name} " not in words


def test_a_broken_sentence_still_counts_as_naming() -> None:
    dog = next(c.index for c in CLASSES if c.name == "dog")
    assert names("a dog at the top on a red background", dog)
    assert not names("a cat at the top on a red background", dog)
    broken = "a dog dog at the on"
    assert names(broken, dog)
    assert not well_formed(broken)


def test_the_committed_page_is_what_the_committed_numbers_say() -> None:
    results = json.loads((DEMO / "results/steering.json").read_text())
    page = (DEMO.parent / "docs/steering.md").read_text()
    assert page == into_page(page, markdown(results, QUESTION))
    for r in results:
        assert [f["form"] for f in r["forms"]] == list(FORMS)
        for form in r["forms"]:
            at = {(row["scope"], row["strength"]): row for row in form["rows"]}
            # Whether a thing is there, yes or no, is moved at block 0 only.
            if form["form"] != "presence" or r["hook"] == "model.layers.0":
                assert at["object", 4.0]["steered"]["low"] > at["object", 4.0]["random"]["high"]
        assert r["features"] >= 60
        by = {(row["scope"], row["strength"]): row for row in r["rows"]}
        assert by["object", 4.0]["steered"]["named"]["low"] > by["object", 4.0]["random"]["named"]["high"]


def test_other_forms_of_question_are_answered_by_what_the_picture_shows(asker: Asker, alone: Catalogue) -> None:
    rng = np.random.default_rng(1)
    scenes = stages(alone, 6, rng)
    prefix = asker.read(alone.pixels[[s.index for s in scenes]])

    def shown_by(shift: int) -> Any:
        def changed(part: list[Trial]) -> Any:
            rows = prefix.rows(torch.tensor([(t.scene + shift) % len(scenes) for t in part]))
            return rows, rows.hidden, None

        return changed

    there = [Trial(0, s.own_cls, n, "object", 4.0, s.own_place) for n, s in enumerate(scenes)]
    for form in FORMS:
        asked = [Asked(t, pose(form, t, scenes[t.scene])) for t in there]
        right, other = (replies(asker, asked, shown_by(shift), 56) for shift in (0, 1))
        assert sum(says(form, answer, t.cls) for answer, t in zip(right, there, strict=True)) >= len(there) - 1, form
        assert not any(says(form, answer, t.cls) for answer, t in zip(other, there, strict=True)), form
    assert pose("presence", there[0], scenes[0]).startswith("is there a")
    assert scenes[0].own_place in pose("what_at", there[0], scenes[0])


def test_tables_go_between_the_marks_of_a_page_and_nowhere_else() -> None:
    page = f"# A page\n{BEGIN}\nold\n{END}\nmore\n"
    assert into_page(page, "new\n") == f"# A page\n{BEGIN}\n\nnew\n\n{END}\nmore\n"
    assert into_page(into_page(page, "new"), "new") == into_page(page, "new")
    with pytest.raises(ValueError, match="between"):
        into_page("# A page\n", "new")


def test_a_question_after_a_thing_is_settled_by_the_lowest_blocks_and_one_after_a_place_is_not(asker: Asker) -> None:
    pairs = draw_pairs(12, 0)
    assert all(p.own.sum() >= 4 and p.without.objects != p.with_it.objects for p in pairs)
    lowest = measure_block(asker, pairs)
    third = measure_block(Asker(asker.checkpoint, 2, asker.sae), pairs)
    for block in (lowest, third):
        assert (block["neither"]["yes"]["share"], block["neither"]["named"]["share"]) == (0, 0)
        assert min(block["both"]["yes"]["share"], block["both"]["named"]["share"], block["above"]["named"]["share"]) > 0.9
    assert lowest["above"]["yes"]["share"] > 0.9 > 0.1 > lowest["below"]["yes"]["share"]
    assert third["below"]["yes"]["share"] > 0.9 > 0.1 > third["above"]["yes"]["share"]


def test_the_page_says_where_a_question_is_read_as_it_was_counted() -> None:
    page = (DEMO.parent / "docs/steering.md").read_text()
    results = json.loads((DEMO / "results/where_read.json").read_text())
    assert page == into_page(page, where_read(results), READ_BEGIN, READ_END)
