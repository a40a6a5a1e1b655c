"""A mistake's contributions are slopes of what the model says, and what is claimed is read from question and answer."""

from __future__ import annotations

import pytest
import torch

from demo.classes import CLASSES
from demo.mistakes import Studied, claimed, collect
from demo.sprites import EXTRA_STYLES


def test_reads_what_a_wrong_answer_claims() -> None:
    assert claimed("how is the face feeling ?", "crying") == "crying face"
    assert claimed("is there a dog ?", "yes") == "dog"
    assert claimed("does the picture show a happy face ?", "yes") == "happy face"
    assert claimed("is there a dog ?", "no") is None
    assert claimed("how is the face feeling ?", "dog") is None


def test_asks_about_what_is_not_there() -> None:
    for scene, chat in collect("presence", 3, EXTRA_STYLES, 5_000_000, "no"):
        ((question, answer),) = chat.turns
        assert answer == "no"
        thing = claimed(question, "yes")
        assert thing not in [name for o in scene.objects for name in (CLASSES[o.cls].name, f"{o.colour} {CLASSES[o.cls].name}")]


@pytest.mark.parametrize("hook", ["model.layers.0", "model.layers.1"])
def test_reads_one_position_and_takes_slopes(hook: str) -> None:
    studied = Studied(hook)
    cases = collect("emotion", 1, EXTRA_STYLES, 5_000_000) + collect("presence", 1, EXTRA_STYLES, 5_000_000)
    read = studied.read(cases)
    for one, logp in zip(read, studied.answers([(one, []) for one in read]), strict=True):
        # The answer's place alone, padded beside a longer question, against the whole upper half over the question alone.
        with torch.inference_mode():
            logits, _ = studied.split.upper(one.hidden[None], *studied.split.upper.empty(1))
        torch.testing.assert_close(logp, logits[0, -1].log_softmax(-1), atol=1e-4, rtol=0)
        first, second = logp.topk(2).indices.tolist()
        image, words = studied.contributions(one, first, second)
        whole = image + words
        for feature in whole.abs().topk(3).indices.tolist():
            near = [{"feature": feature, "op": "scale", "value": value, "scope": "all"} for value in (0.99, 1.01)]
            less, more = studied.answers([(one, [clamp]) for clamp in near])
            slope = ((more[first] - more[second]) - (less[first] - less[second])) / 0.02
            assert float(slope) == pytest.approx(float(whole[feature]), abs=0.02 * float(whole.abs().max()))
