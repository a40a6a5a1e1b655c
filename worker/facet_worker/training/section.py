"""`[train]` of a pipeline's file, and the step that does it; what needs PyTorch is imported when the step runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from facet_worker.pipeline.settings import Count, Name, Positive, Section
from facet_worker.pipeline.steps import Context

Above = Annotated[float, Field(gt=0)]
NotBelow = Annotated[float, Field(ge=0)]


class TrainSection(Section):
    """What is trained and how. The numbers are explained in `facet_worker.training.settings`; their defaults are the paper's, but for the sizes.

    Attributes
    ----------
    hooks : decoder blocks, such as `model.layers.24`; all of them learn in one pass over the model
    latents : features a dictionary; k : active ones a token
    tokens : positions that are learned from
    steps : batches of `batch` tokens
    held_out : pictures at the set's end that are not learned from, on which the dictionaries are measured
    together : pictures that go through the model at a time
    save_every : steps between checkpoints
    """

    hooks: Annotated[list[Name], Field(min_length=1)]
    kind: Literal["topk", "batchtopk", "matryoshka", "jumprelu"] = "topk"
    latents: Positive
    k: Positive
    tokens: Literal["image", "text", "both"] = "both"
    steps: Positive = 30_000
    batch: Positive = 4096
    lr: Above | None = None
    warmup: Count = 1000
    decay: Count | None = None
    auxk_alpha: NotBelow = 1 / 32
    dead_after: Positive = 10_000_000
    multi_topk: bool = True
    prefixes: list[Above] = Field(default_factory=lambda: [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0])
    bandwidth: Above = 0.01
    sparsity: NotBelow = 1.0
    buffer: Positive = 262_144
    held_out: Positive = 64
    together: Positive = 8
    save_every: Positive = 500


SECTION = TrainSection


def run(context: Context) -> dict[str, Any]:
    """Does the step or goes on with it; answers its manifest. Throws `FacetError`."""
    from facet_worker.training.step import train

    return train(context, context.settings.section("train", TrainSection))
