"""The demo's features explained by the demo's model alone: by the pipeline's own explainers, with what the model can name as their vocabulary.

The explainers read the bundle, as they would anyone's: `causal` sets a feature on an empty picture, `top-images` shows the model its top pictures one at a
time, dark where the feature is silent. Neither knows the truth of any scene.
"""

from __future__ import annotations

import time
from pathlib import Path

from demo.claims import background_claims, thing_claims
from demo.classes import BACKGROUNDS, ENTITIES
from demo.tasks import WORDINGS, entity_phrase, with_article
from facet_worker.catalogue import Catalogue
from facet_worker.checkpoint import Checkpoint
from facet_worker.endpoint.store import Store
from facet_worker.explain import Explanation
from facet_worker.explainers.outcome import CAUSAL, TOP_IMAGES
from facet_worker.explainers.run import ExplainReport, ExplainRun, ExplainSettings
from facet_worker.explainers.vocabulary import Label, Vocabulary
from facet_worker.sae import TopKSae
from facet_worker.split_studied import SplitStudied
from facet_worker.studied import GREY

STRENGTHS = (2.0, 4.0, 8.0)
NAMING = WORDINGS["name"][:2]
BACKGROUND = tuple(w.format("background") for w in (WORDINGS["colour"][0], WORDINGS["colour"][3]))
ANSWER_TOKENS, TOGETHER = 8, 24
EMPTY = (
    150  # the middle of what the model knows as a grey background; of a darker grey it is less sure, and any clamp makes it another colour
)


def vocabulary() -> Vocabulary:
    """Every thing and background that the model can name, from the exact thing to its kind; it can be asked whether a thing is there."""
    phrases: dict[str, tuple[str, ...]] = {}
    labels: dict[str, Label] = {}
    for entity in ENTITIES:
        phrase = entity_phrase(entity)
        claims = sorted(thing_claims(phrase), key=lambda claim: claim.rank)
        phrases[phrase] = tuple(claim.label for claim in claims)
        for claim in claims:
            asked = with_article(phrase) if claim.kind == "entity" else "a sign" if claim.value == "sign" else None
            labels[claim.label] = Label(claim.label, claim.concept, asked)
    for word in BACKGROUNDS:
        (claim,) = background_claims(word)
        phrases[word] = phrases[claim.label] = (claim.label,)
        labels[claim.label] = Label(claim.label, claim.concept)
    return Vocabulary(phrases, labels)


def settings(side: int, method: str) -> ExplainSettings:
    """How the model is asked: for a name and for the background, each in two wordings, which have to agree."""
    return ExplainSettings(
        (method,), strengths=STRENGTHS, question=NAMING[0], side=side, refine=False, vocabulary=vocabulary(), also=(NAMING[1], *BACKGROUND),
        wordings=2, looks=True, grey=EMPTY if method == CAUSAL else GREY,
    )  # fmt: skip


def explain(
    checkpoint: Checkpoint, layer: int, sae: TopKSae, catalogue: Catalogue, author: str, folder: Path, looked: int | None = None
) -> tuple[list[Explanation], list[ExplainReport]]:
    """Explains every feature that fires on pictures by `causal`, and by `top-images` (only below the index `looked`, where there is one); or goes on with it.

    Every answer is kept in `folder`. What fires on texts alone is not for a model that is asked what it sees.
    """
    studied = SplitStudied(checkpoint, layer, sae, author, ANSWER_TOKENS, TOGETHER)
    done, total, told = 0, 0, time.monotonic()

    def tick() -> None:
        nonlocal done, told
        done += 1
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"[{catalogue.dictionary}] explaining: {done} of {total}", flush=True)

    rows, reports = list[Explanation](), list[ExplainReport]()
    seeing = [record.index for record in catalogue.features() if record.top]
    for method, wanted in ((CAUSAL, seeing), (TOP_IMAGES, [index for index in seeing if looked is None or index < looked])):
        store = Store(folder / method)
        try:
            run = ExplainRun(catalogue, settings(checkpoint.image_size, method), store, None, studied, tick)
            done, total = 0, run.passes * len(catalogue.indices(wanted))
            found, report = run.run(wanted)
        finally:
            store.close()
        rows += found
        reports.append(report)
    return rows, reports
