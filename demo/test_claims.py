"""Answers are read exactly, and a claim's mask is where it is true."""

from __future__ import annotations

import numpy as np

from demo.claims import Truth, background_claims, caption_claims, place_of_cell, thing_claims
from demo.tasks import caption, entity_phrase, with_article
from demo.world import sample_scene


def _kinds(text: str) -> dict[str, str]:
    return {c.kind: c.value for c in thing_claims(text)}


def test_reads_things() -> None:
    assert _kinds("a dog") == {"entity": "dog", "kind": "animal"}
    assert _kinds("a red heart") == {"entity": "red heart", "class": "heart", "colour": "red", "kind": "shape"}
    assert {c.concept for c in thing_claims("a happy face")} == {"emotion"}
    assert _kinds("nothing") == {}
    assert _kinds("a dog at the") == {}
    assert _kinds("a bus dog") == {}
    assert {c.value for c in background_claims("blue")} == {"blue"}
    assert not background_claims("dog")


def test_reads_captions() -> None:
    scene = sample_scene(5, "test")
    claims = caption_claims(caption(scene))
    for o in scene.objects:
        assert thing_claims(with_article(entity_phrase(o.entity))) <= claims
    assert background_claims(scene.background.word) <= claims
    assert caption_claims("a dog at the on") == frozenset()


def test_masks() -> None:
    for seed in range(40):
        scene = sample_scene(seed, "test")
        truth = Truth(scene)
        shown = np.zeros(144, bool)
        for o in scene.objects:
            exact = min(thing_claims(with_article(entity_phrase(o.entity))), key=lambda c: c.rank)
            mask = truth.mask(exact)
            assert mask.any()
            cells = np.flatnonzero(mask)
            centre = int(o.centre[1] * 12) * 12 + int(o.centre[0] * 12)
            assert np.abs(cells // 12 - centre // 12).min() <= 1
            shown |= mask
        (background,) = background_claims(scene.background.word)
        assert (truth.mask(background) == ~shown).all()
        (other,) = background_claims("pink" if scene.background.word != "pink" else "blue")
        assert not truth.mask(other).any()


def test_places() -> None:
    assert [place_of_cell(c) for c in (0, 5, 11, 66, 143)] == ["top-left", "top", "top-right", "middle", "bottom-right"]
