"""What is shown, what is asked, how answers are read, and that nothing is made of an answer that does not say it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.explainers import causal
from facet_worker.explainers.masking import masked, upsampled
from facet_worker.explainers.prompts import Unread, read_explanation, read_refinement
from facet_worker.studied import Said, Steered, SteerJob, StudiedModel, blank
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[3]


def test_masks_as_the_paper_does() -> None:
    picture = Image.new("RGB", (20, 10), (200, 100, 50))
    values = np.zeros((4, 4), np.float32)
    values[:, 0] = 2.0
    values[0, 3] = 1e-6
    shown = np.asarray(masked(picture, values))
    assert shown.shape == (336, 336, 3)
    # The column's middle is bright, and by bilinear interpolation up to the middle of the next cell; the rest keeps 31/255 of its light.
    assert shown[168, 10].tolist() == [200, 100, 50]
    assert shown[168, 125].tolist() == [200, 100, 50]
    assert shown[168, 127].tolist() == [round(v * 31 / 255) for v in (200, 100, 50)]
    assert shown[0, 335].tolist() == [24, 12, 6]
    ramp = upsampled(np.array([[0, 4]], np.float32), 8)
    np.testing.assert_allclose(ramp[0], [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4])


@pytest.mark.parametrize(
    ("text", "finish", "wanted"),
    [
        ("I see dogs.\n[EXPLANATION]: A dog's\n head. ", "stop", "A dog's head."),
        ("**[EXPLANATION]:** A dog.**", "stop", "A dog."),
        ("[EXPLANATION]: no, wait. [EXPLANATION]: A cat.", "stop", "A cat."),
        ("[EXPLANATION]: Unable to produce descriptions", "stop", "unable"),
        ("unable to produce descriptions.", "stop", "unable"),
        ("It is a dog.", "stop", "off_format"),
        ("[EXPLANATION]:  ", "stop", "off_format"),
        ("[EXPLANATION]: A dog with a", "length", "cut_off"),
        ("Let me think about", "length", "cut_off"),
    ],
)
def test_reads_explanations_or_says_why_not(text: str, finish: str, wanted: str) -> None:
    found = read_explanation(text, finish)
    assert (found.cause if isinstance(found, Unread) else found) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[LABEL]: Dog heads.\n[CONCEPT]: object", ("Dog heads", "object")),
        ("**[LABEL]:** red things\n**[CONCEPT]:** Color.", ("red things", "colour")),
        ("[LABEL]: dogs\n[CONCEPT]: animal", "off_format"),
        ("[LABEL]: a b c d e f g h i\n[CONCEPT]: object", "off_format"),
        ("[CONCEPT]: object", "off_format"),
        ("dogs, object", "off_format"),
        ('{"label": "dogs"', "off_format"),
    ],
)
def test_reads_labels_or_says_why_not(text: str, wanted: Any) -> None:
    found = read_refinement(text, "stop")
    assert (found.cause if isinstance(found, Unread) else found) == wanted


def _steered(plain: str, *answers: str, changed: bool = True) -> Steered:
    return Steered(Said(None, plain, "stop", True), tuple(Said(2.0**i, text, "stop", changed) for i, text in enumerate(answers)))


def test_the_weakest_answer_with_the_word_that_most_strengths_share_explains() -> None:
    plain = "a grey picture"
    found = causal.choose(_steered(plain, plain, "a dog in a grey picture", "a dog and a cat", "dog dog dog dog dog"))
    assert isinstance(found, Said)
    assert (found.value, found.text) == (2.0, "a dog in a grey picture")
    for steered, cause in (
        (_steered(plain, plain, plain), "nothing_new"),
        (_steered(plain, "a grey grey picture", "picture"), "nothing_new"),
        (_steered(plain, "a dog", "a cat", changed=False), "nothing_new"),
        (_steered(plain, "a dog", "a cat", "a horse"), "disagree"),
        (_steered(plain, "on the go on the go on the go", plain), "broken"),
    ):
        unread = causal.choose(steered)
        assert isinstance(unread, Unread)
        assert unread.cause == cause
    row = causal.explain(7, _steered(plain, "a dog", "a cat"), "m", "what?", "2026-01-01T00:00:00+00:00")
    assert (row.explanation.text, row.cause) == (None, "disagree")
    assert "“a dog”; “a cat”" in str(row.explanation.failure)
    assert causal.from_json(causal.to_json(_steered(plain, "a dog"))) == _steered(plain, "a dog")


@pytest.fixture(scope="module")
def demo() -> StudiedModel:
    torch.set_num_threads(1)
    engine = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries/model.layers.0"], model_id="facet-emoji")
    return StudiedModel(engine, "facet-emoji/model.layers.0", max_tokens=8)


def test_the_studied_model_names_the_features_that_are_set_on_an_empty_picture(demo: StudiedModel) -> None:
    import pyarrow.parquet as pq

    folder = ROOT / "demo/bundle/model.layers.0"
    units = pq.read_table(folder / "features.parquet", columns=["max_activation"]).column(0).to_pylist()
    rows = pq.read_table(folder / "explanations.parquet").to_pylist()
    causes = [row for row in rows if row["method"] == "causal" and row["text"] and row["concept"] == "object"]
    known = [row for row in causes if " " not in row["label"]][:4]
    assert len(known) == 4
    jobs = [SteerJob(r["index"], units[r["index"]], (2.0, 4.0, 8.0), blank(96), "what is this ?") for r in known]
    found = demo.steered(jobs)
    outcomes = [
        causal.explain(r["index"], said, demo.name, "what?", "2026-01-01T00:00:00+00:00") for r, said in zip(known, found, strict=True)
    ]
    named = [r["label"] in (o.explanation.text or "").split() for r, o in zip(known, outcomes, strict=True)]
    assert sum(named) >= 3
    assert all(o.cause is None or o.explanation.text is None for o in outcomes)


def test_a_clamp_that_the_engine_refuses_is_that_features_failure_alone(demo: StudiedModel) -> None:
    good, refused = demo.steered([SteerJob(index, 1.0, (2.0, 4.0), blank(96), "what do you see ?") for index in (1, 999_999)])
    assert isinstance(good, Steered)
    assert isinstance(refused, FacetError)
    outcome = causal.explain(999_999, refused, "m", "what?", "2026-01-01T00:00:00+00:00")
    assert (outcome.cause, outcome.explanation.text) == ("engine", None)


def test_pictures_travel_losslessly() -> None:
    from facet_worker.endpoint.asker import picture_part

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    data = picture_part(picture)["image_url"]["url"].partition("base64,")[2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.asarray(picture))
