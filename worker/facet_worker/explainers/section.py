"""`[explain]` of a pipeline's file, and the step that does it; what needs PyTorch is imported when the step runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from facet_worker.endpoint.section import Above, EndpointSection
from facet_worker.pipeline.settings import Count, Name, Positive, Section
from facet_worker.pipeline.steps import Context

Explainer = Literal["steering-informed", "top-images", "causal"]


class ExplainSection(Section):
    """Which features of which dictionaries are explained, how, and by whom.

    Attributes
    ----------
    explainers : in the order in which lists prefer them
    endpoint : who looks at pictures and writes labels; `causal` alone needs none
    bundle : a bundle's folder to explain in place of what `cache` found in this run
    dictionaries : ids (all, where left out); features : indices (all that ever fire, where left out)
    pictures : how many of a feature's top pictures are shown
    strengths : in units of a feature's maximum; question : what the studied model is asked about the empty picture; answer_tokens : at most
    refine : ask for short labels and concept classes; refiner : another model at the endpoint for it
    grey : of the empty picture, 0 to 255: one that the studied model plainly calls empty
    looks : who looks at the top pictures for `top-images`: the endpoint, or the studied model, one picture at a time
    vocabulary : a file of what the studied model can name, by which its answers are read; labels then come from it and are asked of nobody
    also : further questions to the studied model; wordings : how many of its answers under one condition have to stand for a label
    batch : how many features are steered at a time
    """

    explainers: Annotated[list[Explainer], Field(min_length=1)]
    endpoint: EndpointSection | None = None
    bundle: str | None = None
    dictionaries: list[Name] | None = None
    features: list[Count] | None = None
    pictures: Positive = 5
    max_tokens: Positive = 512
    strengths: Annotated[list[Above], Field(min_length=1, max_length=17)] = Field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0])
    question: Name = "What do you see in this image?"
    answer_tokens: Annotated[int, Field(ge=1, le=256)] = 48
    grey: Annotated[int, Field(ge=0, le=255)] = 127
    refine: bool = True
    refiner: str | None = None
    looks: Literal["endpoint", "studied"] = "endpoint"
    vocabulary: str | None = None
    also: list[Name] = Field(default_factory=list)
    wordings: Positive = 1
    batch: Positive = 8


SECTION = ExplainSection


def run(context: Context) -> dict[str, Any]:
    """Does the step or goes on with it; answers its manifest. Throws `FacetError`."""
    from facet_worker.explainers.step import explain

    return explain(context, context.settings.section("explain", ExplainSection))
