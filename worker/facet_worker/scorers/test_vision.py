"""CLIP, Grounding DINO and SAM of random weights, loaded as real checkpoints are, against their raw outputs taken apart in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.scorers.tiny_vision import write_clip, write_detector, write_segmenter
from facet_worker.scorers.vision import Clip, Grounder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    found = tmp_path_factory.mktemp("vision")
    write_clip(found / "clip")
    write_detector(found / "dino")
    write_segmenter(found / "sam")
    return found


@pytest.fixture(scope="module")
def grounder(folder: Path) -> Grounder:
    return Grounder(folder / "dino", folder / "sam", threshold=0.0)


def noise(seed: int, width: int = 80, height: int = 50) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_clip_embeds_pictures_and_words_as_its_own_similarity_does(folder: Path) -> None:
    clip = Clip(folder / "clip")
    pictures = [noise(i) for i in range(40)]
    embedded, words = clip.images(pictures), clip.text("red dog")
    assert embedded.shape == (40, 12)
    np.testing.assert_allclose(embedded[7], clip.images([pictures[7]])[0], atol=1e-5)
    inputs = clip.processor(text=["red dog"], images=pictures[:3], return_tensors="pt")
    with torch.inference_mode():
        outputs = clip.model(**inputs)
    logits = np.asarray(outputs.logits_per_image[:, 0])
    cosine = (embedded[:3] @ words) / (np.linalg.norm(embedded[:3], axis=1) * np.linalg.norm(words))
    np.testing.assert_allclose(logits, np.exp(float(clip.model.logit_scale)) * cosine, rtol=1e-4)
    assert clip.text("red dog " * 40).shape == (12,)


def test_boxes_are_the_detectors_own_in_pixels_surest_first_above_the_threshold(grounder: Grounder) -> None:
    picture = noise(0)
    inputs = grounder.detect_inputs(images=picture, text="red dog.", return_tensors="pt")
    with torch.inference_mode():
        outputs = grounder.detector(**inputs)
    scores = 1 / (1 + np.exp(-np.asarray(outputs.logits[0].double()).max(-1)))
    x, y, w, h = np.asarray(outputs.pred_boxes[0].double()).T
    boxes = np.stack([(x - w / 2) * 80, (y - h / 2) * 50, (x + w / 2) * 80, (y + h / 2) * 50], 1)
    np.testing.assert_allclose(grounder.boxes(picture, " Red Dog."), boxes[np.argsort(-scores, kind="stable")], rtol=1e-4, atol=1e-3)
    strict = Grounder.__new__(Grounder)
    strict.__dict__.update(vars(grounder), threshold=float(np.sort(scores)[-3] + 1e-9))
    assert len(strict.boxes(picture, "red dog")) == 2


def test_a_labels_mask_joins_what_is_segmented_in_each_box(grounder: Grounder) -> None:
    picture = noise(0)
    boxes = grounder.boxes(picture, "red dog")[[0, 5]]
    apart = [grounder.segment(picture, box[None]) for box in boxes]
    assert apart[0].shape == (50, 80)
    np.testing.assert_array_equal(grounder.segment(picture, boxes), apart[0] | apart[1])
    assert not np.array_equal(apart[0], apart[1])
    inputs = grounder.segment_inputs(picture, input_boxes=[[boxes[0].astype(float).tolist()]], return_tensors="pt")
    with torch.inference_mode():
        raw = grounder.segmenter(
            pixel_values=inputs["pixel_values"].float(), input_boxes=inputs["input_boxes"].float(), multimask_output=False
        ).pred_masks
    # 80 × 50 was laid into 64 × 40 of 64 × 64; the low-resolution mask goes back the same way.
    big = torch.nn.functional.interpolate(raw[0].float(), (64, 64), mode="bilinear", align_corners=False)[..., :40, :64]
    wanted = torch.nn.functional.interpolate(big, (50, 80), mode="bilinear", align_corners=False)[0, 0] > 0
    np.testing.assert_array_equal(apart[0], wanted.numpy())


def test_nothing_found_is_an_empty_mask(grounder: Grounder) -> None:
    strict = Grounder.__new__(Grounder)
    strict.__dict__.update(vars(grounder), threshold=1.0)
    found = strict.mask(noise(0), "red dog")
    assert found.shape == (50, 80)
    assert not found.any()


def test_refuses_what_is_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FacetError, match="no checkpoint") as caught:
        Clip(tmp_path / "nowhere")
    assert caught.value.code == "not_found"
    with pytest.raises(FacetError, match="holds no such checkpoint"):
        Clip(tmp_path)
