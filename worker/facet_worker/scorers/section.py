"""`[score]` of a pipeline's file, and the step that does it; what needs PyTorch is imported when the step runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from facet_worker.endpoint.section import Above, EndpointSection
from facet_worker.pipeline.settings import Count, Name, Positive, Section
from facet_worker.pipeline.steps import Context

Metric = Literal["clip", "iou", "consistency", "detection", "monosemanticity", "steer"]


class ScoreSection(Section):
    """Which explanations are scored, how, and with what.

    Attributes
    ----------
    metrics : `clip` and `monosemanticity` need `clip`, `iou` needs `detector` and `segmenter`, `consistency` and `detection` a judge: the `endpoint`, or
        with `judge = "studied"` the studied model, which `steer` needs too
    bundle : a bundle's folder in place of what `cache` found; its own explanations are scored where the run has none
    dictionaries, features : as in `[explain]`
    clip, detector, segmenter : folders of checkpoints (CLIP, Grounding DINO, SAM); threshold : least confidence of a box; device : where they run
    pictures : a feature's top pictures, for `clip`, `iou` and `consistency`; shown : how many the explainers saw, `detection` asks about others
    on, off : pictures of `detection` on which a feature fires, and does not
    trials : pictures of `steer`; strength : in units of the feature's maximum; question : what the clamped model is asked
    shows : what the studied model is asked as a judge, with a place for {label}; vocabulary : how its question names each label, and which it can be asked
    """

    metrics: Annotated[list[Metric], Field(min_length=1)]
    bundle: str | None = None
    dictionaries: list[Name] | None = None
    features: list[Count] | None = None
    endpoint: EndpointSection | None = None
    judge: Literal["endpoint", "studied"] = "endpoint"
    clip: str | None = None
    detector: str | None = None
    segmenter: str | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.25
    device: Name = "cpu"
    pictures: Positive = 5
    shown: Count = 5
    on: Positive = 5
    off: Positive = 5
    trials: Positive = 6
    strength: Above = 4.0
    question: Name = "What do you see in this image?"
    shows: Annotated[str, Field(pattern=r"\{label\}")] = "is there a {label} ?"
    vocabulary: str | None = None
    answer_tokens: Annotated[int, Field(ge=1, le=256)] = 48
    batch: Positive = 8


SECTION = ScoreSection


def run(context: Context) -> dict[str, Any]:
    """Does the step or goes on with it; answers its manifest. Throws `FacetError`."""
    from facet_worker.scorers.step import score

    return score(context, context.settings.section("score", ScoreSection))
