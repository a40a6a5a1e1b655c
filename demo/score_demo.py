"""Score explanations against the scenes' exact truth, choose the preferred ones and report the distributions."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.catalogue import Catalogue
from demo.claims import Truth, background_claims, thing_claims
from demo.explain_demo import BACKGROUND, load_explanations, save_explanations
from demo.tasks import WORDINGS, place_phrase
from facet_worker.cache import FeatureCache
from facet_worker.checkpoint import Checkpoint
from facet_worker.codes import Codes
from facet_worker.explain import Claim, Explanation
from facet_worker.sae import TopKSae
from facet_worker.score import Score, activation_mask, intersection_over_union
from facet_worker.steer import Asker

SHARE_OF_PEAK = 0.25
BASELINES = 5  # random features beside each IoU
TRIALS = 6  # images a steering score is taken over
STRENGTH = 4.0
BATCH = 48
IOU_METHOD = (
    f"mean over the feature's top images of the overlap between the cells where it is at least {SHARE_OF_PEAK:g} of its peak there and the cells of which the labelled "
    f"thing covers a fifth or more (exact masks); baseline: the same for {BASELINES} random features on the same images"
)
STEER_METHOD = (
    f"share of trials in which the model names the label, asked what is in a place, after the feature is set to {STRENGTH:g}× its maximum on the patches of another thing "
    "there (for a background: on all background patches, asked its colour), on images without the label; baseline: another labelled feature clamped in the same way"
)


def iou_scores(explanations: list[Explanation], cache: FeatureCache, codes: Codes, catalogue: Catalogue, seed: int) -> list[Score]:
    """IoU of every explanation whose claim has a place in a picture."""
    rng = np.random.default_rng([seed, 1])
    truths: dict[int, Truth] = {}
    lively = np.flatnonzero(cache.stats.images > 0)
    out = []
    for e in explanations:
        if e.claim is None:
            continue
        if e.claim.kind in ("token", "next"):
            continue
        top = cache.examples[e.index]["top"]
        if not top:
            out.append(Score(e.index, e.method, "iou", None, None, 0, "It fires on no image.", IOU_METHOD))
            continue
        others = rng.choice(lively, BASELINES)
        values, randoms = [], []
        for example in top:
            truth = truths.setdefault(example.item, Truth(catalogue.scenes[example.item])).mask(e.claim)
            dense = np.zeros(example.size, np.float32)
            dense[example.positions] = example.values
            values.append(float(intersection_over_union(activation_mask(dense, SHARE_OF_PEAK), truth)))
            masks = activation_mask(codes.maps(example.item, others), SHARE_OF_PEAK)
            randoms.append(float(intersection_over_union(masks, truth[None]).mean()))
        out.append(Score(e.index, e.method, "iou", float(np.mean(values)), float(np.mean(randoms)), len(values), None, IOU_METHOD))
    return out


@dataclass(frozen=True)
class Probe:
    """A catalogue image with the object whose patches are clamped."""

    image: int
    place: str
    cells: np.ndarray
    background: np.ndarray
    truth: Truth


def probes(catalogue: Catalogue, count: int) -> list[Probe]:
    """The last `count` catalogue images with one to three things, each with its largest."""
    out: list[Probe] = []
    for i in range(len(catalogue) - 1, -1, -1):
        if len(out) < count and 1 <= len(catalogue.scenes[i].objects) <= 3:
            truth = Truth(catalogue.scenes[i])
            largest = int(truth.shown.sum(1).argmax())
            if truth.shown[largest].sum() >= 4:
                out.append(Probe(i, truth.scene.objects[largest].place, truth.shown[largest], ~np.asarray(truth.shown.any(0)), truth))
    return out


def _names(claim: Claim, answer: str) -> bool:
    return claim in (background_claims(answer) if claim.kind == "background" else thing_claims(answer))


def steer_scores(
    asker: Asker,
    explanations: list[Explanation],
    cache: FeatureCache,
    catalogue: Catalogue,
    count: int,
    seed: int,
    log: Callable[[str], None],
) -> list[Score]:
    """How often a clamp makes the model name the label on images without it."""
    rng = np.random.default_rng([seed, 2])
    places = probes(catalogue, count)
    prefix = asker.read(catalogue.pixels[[p.image for p in places]])
    # explanations of one feature often agree: what is asked depends on the feature and on thing or background only
    jobs: dict[tuple[int, bool], list[int]] = {}
    for e in explanations:
        if e.claim is not None and e.claim.kind not in ("token", "next", "place"):
            key = (e.index, e.claim.kind == "background")
            absent = [n for n, p in enumerate(places) if not p.truth.mask(e.claim).any()]
            jobs.setdefault(key, [int(n) for n in rng.permutation(absent)[:TRIALS]])
    trials = [(feature, back, probe) for (feature, back), chosen in jobs.items() for probe in chosen]
    # of one batch all are asked the same question
    groups: dict[str, list[tuple[int, bool, int]]] = defaultdict(list)
    for trial in trials:
        question = BACKGROUND[0] if trial[1] else WORDINGS["what_at"][0].format(place_phrase(places[trial[2]].place))
        groups[question].append(trial)
    said: dict[tuple[int, bool, int], str] = {}
    for question, members in groups.items():
        for start in range(0, len(members), BATCH):
            part = members[start : start + BATCH]
            index = torch.tensor([probe for _, _, probe in part])
            rows = prefix.rows(index)
            cells = torch.from_numpy(np.stack([places[p].background if back else places[p].cells for _, back, p in part]))
            values = torch.tensor([STRENGTH * cache.stats.max_activation[f] for f, _, _ in part], dtype=torch.float32)
            with torch.inference_mode():
                hidden = asker.set_on_cells(rows.hidden, torch.tensor([f for f, _, _ in part]), values, cells)
            for trial, answer in zip(part, asker.ask(rows.low, asker.open(hidden), question), strict=True):
                said[trial] = answer
        log(f"steered {len(said)} of {len(trials)}")
    return _steer_rows(explanations, jobs, said, rng)


def _steer_rows(
    explanations: list[Explanation],
    jobs: dict[tuple[int, bool], list[int]],
    said: dict[tuple[int, bool, int], str],
    rng: np.random.Generator,
) -> list[Score]:
    by_probe: dict[tuple[bool, int], list[tuple[int, str]]] = defaultdict(list)
    for (feature, back, probe), answer in said.items():
        by_probe[back, probe].append((feature, answer))
    out = []
    for e in explanations:
        claim = e.claim
        if claim is None or claim.kind in ("token", "next"):
            continue
        if claim.kind == "place":
            out.append(
                Score(
                    e.index,
                    e.method,
                    "steer",
                    None,
                    None,
                    0,
                    "A place is not something that a question about a thing can name.",
                    STEER_METHOD,
                )
            )
            continue
        back = claim.kind == "background"
        chosen = jobs[e.index, back]
        if not chosen:
            out.append(Score(e.index, e.method, "steer", None, None, 0, "No probe image is without the label.", STEER_METHOD))
            continue
        hits = [_names(claim, said[e.index, back, probe]) for probe in chosen]
        random = []
        for probe in chosen:
            others = [(f, answer) for f, answer in by_probe[back, probe] if f != e.index]
            if others:
                random.append(_names(claim, others[int(rng.integers(len(others)))][1]))
        out.append(
            Score(
                e.index, e.method, "steer", float(np.mean(hits)), float(np.mean(random)) if random else None, len(hits), None, STEER_METHOD
            )
        )
    return out


def choose(explanations: list[Explanation], scores: list[Score]) -> list[Explanation]:
    """Prefer, for each feature, the explanation with the best IoU and steering score together; what has no score comes last."""
    value: dict[tuple[int, str], float] = defaultdict(float)
    for s in scores:
        value[s.index, s.explanation] += s.value or 0.0
    best: dict[int, Explanation] = {}
    for e in explanations:
        if e.label is None:
            continue
        rival = best.get(e.index)
        if rival is None or value[e.index, e.method] > value[rival.index, rival.method]:
            best[e.index] = e
    return [e.prefer() if best.get(e.index) is e else e for e in explanations]


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {"n": 0}
    q = np.quantile(values, (0.1, 0.25, 0.5, 0.75, 0.9))
    return {
        "n": len(values),
        "mean": float(np.mean(values)),
        **{name: float(v) for name, v in zip(("p10", "p25", "median", "p75", "p90"), q, strict=True)},
    }


def summary(explanations: list[Explanation], scores: list[Score], cache: FeatureCache) -> dict[str, Any]:
    """Distributions as they are: how many were explained, why others were not, what the scores and their baselines are."""
    out: dict[str, Any] = {
        "features": len(cache.stats.dead),
        "alive": int((~cache.stats.dead).sum()),
        "labelled": sum(e.preferred for e in explanations),
    }
    out["concepts"] = dict(Counter(e.concept for e in explanations if e.preferred))
    chosen = {(e.index, e.method) for e in explanations if e.preferred}
    for method in sorted({e.method for e in explanations}):
        rows = [e for e in explanations if e.method == method]
        out[method] = {"asked": len(rows), "explained": sum(e.label is not None for e in rows), "preferred": sum(e.preferred for e in rows)}
        out[method]["failures"] = dict(Counter((e.failure or "").split(":")[0].split(";")[0] for e in rows if e.failure).most_common(5))
        for metric in ("iou", "steer"):
            mine = [s for s in scores if s.explanation == method and s.metric == metric]
            out[method][metric] = _quantiles([s.value for s in mine if s.value is not None])
            out[method][f"{metric}_random"] = _quantiles([s.baseline for s in mine if s.baseline is not None])
    for metric in ("iou", "steer"):
        mine = [s for s in scores if s.metric == metric and (s.index, s.explanation) in chosen]
        out[metric] = _quantiles([s.value for s in mine if s.value is not None])
        out[f"{metric}_random"] = _quantiles([s.baseline for s in mine if s.baseline is not None])
    return out


def score_dictionary(
    checkpoint: Checkpoint, layer: int, sae: TopKSae, cache: FeatureCache, codes: Codes, catalogue: Catalogue, explanations_path: Path, path: Path,
    probe_count: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Score all explanations at a hook; writes the scores, and the explanations again with the preferred ones marked."""

    def log(line: str) -> None:
        print(f"[model.layers.{layer}] {line}", flush=True)

    explanations = load_explanations(explanations_path)
    scores = iou_scores(explanations, cache, codes, catalogue, seed)
    scores += steer_scores(Asker(checkpoint, layer, sae), explanations, cache, catalogue, probe_count, seed, log)
    explanations = choose([e if not e.preferred else Explanation(**{**vars(e), "preferred": False}) for e in explanations], scores)
    path.write_text(json.dumps([asdict(s) for s in scores]))
    save_explanations(explanations, explanations_path)
    return summary(explanations, scores, cache)


def load_scores(path: Path) -> list[Score]:
    """Read what `score_dictionary` wrote."""
    return [Score(**row) for row in json.loads(path.read_text())]
