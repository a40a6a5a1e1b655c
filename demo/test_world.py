"""The world's truth is exact and decided by the seed alone."""

import numpy as np
import pytest
from PIL import Image

from demo.classes import CLASSES, ENTITIES, KINDS, PLACES
from demo.sprites import EXTRA_STYLES, TRAIN_STYLES, ArtMissing, drawable_classes, missing_sprites, sprite
from demo.world import HELDOUT_PAIRS, SPLITS, blank_scene, draw, masks, patch_truth, render, sample_scene

try:
    sprite("red-apple", "noto", 48)
    HAVE_ART = True
except ArtMissing:
    HAVE_ART = False
needs_art = pytest.mark.skipif(not HAVE_ART, reason="the art sets are not installed")


def _pairs(scene):
    classes = sorted({o.cls for o in scene.objects})
    return {(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]}


def test_classes_are_single_lower_case_words_of_every_kind():
    assert len(CLASSES) >= 100
    assert len({c.name for c in CLASSES}) == len(CLASSES)
    assert all(c.name.isalpha() and c.name == c.name.lower() for c in CLASSES)
    assert {c.kind for c in CLASSES} == set(KINDS)
    assert CLASSES[0].concept == "animal:dog"


def test_a_seed_decides_a_scene_and_splits_differ():
    assert sample_scene(5, "train") == sample_scene(5, "train")
    assert len({repr(sample_scene(5, s).objects) for s in SPLITS}) == len(SPLITS)


@pytest.mark.parametrize("split", ["train", "val", "test", "catalogue"])
def test_held_out_pairs_never_meet_elsewhere(split):
    assert not any(_pairs(sample_scene(i, split)) & HELDOUT_PAIRS for i in range(400))


def test_every_held_out_scene_holds_a_held_out_pair():
    assert all(_pairs(sample_scene(i, "heldout")) & HELDOUT_PAIRS for i in range(200))


def test_places_are_distinct_and_never_a_coin_toss():
    for i in range(400):
        scene = sample_scene(i, "train")
        assert len({o.place for o in scene.objects}) == len(scene.objects)
        for o in scene.objects:
            x, y = o.centre
            assert PLACES[int(y * 3) * 3 + int(x * 3)] == o.place
            assert all(abs(v * 3 - round(v * 3)) > 0.2 for v in o.centre), "too near the border of a cell"


def test_only_training_is_dense():
    assert max(len(sample_scene(i, "train").objects) for i in range(200)) > 4
    assert max(len(sample_scene(i, "test").objects) for i in range(200)) == 4


@needs_art
def test_training_styles_draw_everything_and_the_unseen_style_most():
    assert [missing_sprites(s) for s in TRAIN_STYLES] == [[], []]
    assert len(drawable_classes(EXTRA_STYLES[0])) >= 100
    assert len({sprite(e.sprite_name(), "noto", 48).tobytes() for e in ENTITIES}) == len(ENTITIES)


@needs_art
def test_masks_are_what_an_object_changes_and_do_not_overlap():
    scene = next(s for s in (sample_scene(i, "test") for i in range(50)) if len(s.objects) == 3)
    shown = masks(scene, 192)
    assert shown.shape == (3, 192, 192)
    assert shown.sum(0).max() == 1
    bare = render(blank_scene(scene.background.word), 192) if scene.background.angle is None else None
    image = render(scene, 192)
    if bare is not None:
        changed = (image != bare).any(-1)
        assert (changed | ~shown.any(0)).mean() > 0.999
    assert all(m.any() for m in shown)


@needs_art
def test_patch_truth_names_the_object_at_its_middle():
    for i in range(40):
        scene = sample_scene(i, "test")
        classes, coverage = patch_truth(scene)
        assert classes.shape == coverage.shape == (12, 12)
        assert set(classes[classes >= 0]) <= {o.cls for o in scene.objects}
        if len(scene.objects) == 1:
            assert (classes == scene.objects[0].cls).sum() >= 4


@needs_art
def test_drawn_large_or_small_the_model_sees_nearly_the_same():
    for i in range(20):
        scene = sample_scene(i, "val")
        a, b = (
            np.asarray(Image.fromarray(draw(scene, px)[0]).resize((96, 96), Image.Resampling.BILINEAR)).astype(int) for px in (192, 384)
        )
        assert abs(a - b).mean() < 2.5


@needs_art
def test_a_blank_scene_is_one_colour():
    assert len(np.unique(render(blank_scene("pink"), 96).reshape(-1, 3), axis=0)) == 1
