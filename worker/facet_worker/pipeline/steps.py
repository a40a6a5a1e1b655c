"""The steps of a pipeline and what each has to offer: a class for its section of the file, and a function that does it.

A step's module has `SECTION`, a subclass of `facet_worker.pipeline.settings.Section`, which must not need PyTorch to be imported, and
`run(context: Context) -> dict`, which does the step or goes on with it and answers the step's manifest.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import Section, Settings

# In the order in which `run` does them.
MODULES: dict[str, str] = {
    "train": "facet_worker.training.section",
    "cache": "facet_worker.pipeline.cache_step",
    "explain": "facet_worker.explainers.section",
    "score": "facet_worker.scorers.section",
    "publish": "facet_worker.pipeline.publish_step",
}
HELP: dict[str, str] = {
    "train": "train dictionaries on a model's activations as they stream by",
    "cache": "find what lights each feature up, in one pass over an image set",
    "explain": "have a model say what each feature stands for",
    "score": "score the explanations, each beside the same measurement at random",
    "publish": "write the bundle that `facet import`, pandas and DuckDB read",
}
NEEDS: dict[str, str] = {
    "train": "[model], [images] and [train] with `hooks`, `latents` and `k`",
    "cache": "[model], [images], and [[dictionaries]] or what `train` made in the same run folder",
    "explain": "[explain] with `explainers`, what `cache` found or a `bundle`, and [explain.endpoint] or the studied model as [model]",
    "score": "[score] with `metrics`, explanations, and what the metrics ask: checkpoints, [score.endpoint], the studied model",
    "publish": "what `cache` found; it takes explanations and scores along where there are some",
}
"""Of the pipeline's file, and of the run folder."""


@dataclass(frozen=True)
class Context:
    """What a step is given: the checked file, the run folder, which this process holds, and whether what failed before is to be tried again."""

    settings: Settings
    run: RunFolder
    retry_failed: bool = False


def sections() -> dict[str, type[Section]]:
    """The class of each step's section."""
    return {name: importlib.import_module(module).SECTION for name, module in MODULES.items()}


def run_step(name: str, context: Context) -> dict[str, Any]:
    """Does a step or goes on with it; answers its manifest."""
    made: dict[str, Any] = importlib.import_module(MODULES[name]).run(context)
    return made
