"""Score explanations by the pipeline's own scorers with the scenes' exact truth, and by steering; choose the preferred ones; report means beside chance."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from demo.catalogue import Shown
from demo.claims import Truth, background_claims, claims_by_label, thing_claims
from demo.own_words import BACKGROUND, vocabulary
from demo.tasks import WORDINGS, place_phrase
from facet_worker.catalogue import Catalogue, FeatureRecord
from facet_worker.checkpoint import Checkpoint
from facet_worker.endpoint.store import Store
from facet_worker.explain import TOKENS, Claim, Explanation
from facet_worker.explainers.masking import SIDE
from facet_worker.sae import TopKSae
from facet_worker.score import Score
from facet_worker.scorers.judges import StudiedJudge
from facet_worker.scorers.run import CONSISTENCY, DETECTION, IOU, MONOSEMANTICITY, STEER, ScoreRun, ScoreSettings, Tools
from facet_worker.split_studied import SplitStudied
from facet_worker.steer import Asker

TRIALS = 6  # images a steering score is taken over
STRENGTH = 4.0
BATCH = 48
STEER_METHOD = (
    f"share of trials in which the model names the label, asked what is in a place, after the feature is set to {STRENGTH:g}× its maximum on the patches of another thing "
    "there (for a background: on all background patches, asked its colour), on images without the label; baseline: another labelled feature clamped in the same way"
)
FINDER = "exact masks: the scenes are drawn by the recipe"
METRICS = (IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER)
NAMED = ("entity", "class", "colour", "kind", "background")  # what an answer can name

Trial = tuple[int, bool, int]
"""A feature, whether all background is clamped, and the probe."""


def with_claims(rows: Sequence[Explanation]) -> list[Explanation]:
    """Of each explanation about pictures the claim that its label makes, from which its truth follows."""
    known = claims_by_label()
    return [row if row.method == TOKENS or row.label is None else replace(row, claim=known[row.label]) for row in rows]


class ExactMasks:
    """Where a label is in a picture of the bundle, to the pixel."""

    def __init__(self, hashes: Sequence[str], shown: Shown) -> None:
        self._scenes = dict(zip(hashes, shown.scenes, strict=True))
        self._truths: dict[str, Truth] = {}

    def __call__(self, sha: str, picture: Image.Image, label: str) -> npt.NDArray[np.bool_]:
        if sha not in self._truths:
            self._truths[sha] = Truth(self._scenes[sha])
        return self._truths[sha].pixels(claims_by_label()[label], SIDE)


def shared_scores(
    studied: SplitStudied, catalogue: Catalogue, rows: Sequence[Explanation], shown: Shown, judged: int, folder: Path, seed: int,
    tick: Callable[[], object],
) -> list[Score]:  # fmt: skip
    """IoU of every explanation about pictures; consistency, detection and monosemanticity of `judged` features drawn at random.

    The judge is the demo's model. Features are drawn of those with a label that it can be asked about: whether a thing is there.
    """
    words = vocabulary()
    judge = StudiedJudge(studied, WORDINGS["presence"][0].format("{label}"), words)
    about = [row for row in rows if row.method != TOKENS]
    can = sorted({row.index for row in about if judge.can_ask(row.label)})
    drawn = np.random.default_rng([seed, 3]).permutation(len(can))[:judged]
    store = Store(folder)
    tools = Tools(finds=ExactMasks(catalogue.pictures.hashes, shown), finder=FINDER, judge=judge, studied=studied, embedder=studied)

    def run(*metrics: str) -> ScoreRun:
        return ScoreRun(catalogue, about, ScoreSettings(metrics, seed=seed), tools, store, tick)

    try:
        scores, _ = run(IOU).run()
        more, _ = run(CONSISTENCY, DETECTION, MONOSEMANTICITY).run({can[n] for n in drawn})
        return scores + more
    finally:
        store.close()


@dataclass(frozen=True)
class Probe:
    """A catalogue image with the object whose patches are clamped."""

    image: int
    place: str
    cells: np.ndarray
    background: np.ndarray
    truth: Truth


def probes(catalogue: Shown, count: int) -> list[Probe]:
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
    units: dict[int, float],
    catalogue: Shown,
    count: int,
    seed: int,
    log: Callable[[str], None],
    kept: Path | None = None,
) -> list[Score]:
    """How often a clamp makes the model name the label on images without it; answers are kept in a file, to go on from."""
    places = probes(catalogue, count)
    prefix = asker.read(catalogue.seen([p.image for p in places]))
    chosen = {n: _chosen(e, places, seed) for n, e in enumerate(explanations) if e.claim is not None and e.claim.kind in NAMED}
    # explanations of one feature often agree: what is asked depends on the feature and on thing or background only
    trials = dict.fromkeys((explanations[n].index, _of_background(explanations[n]), probe) for n, ours in chosen.items() for probe in ours)
    # of one batch all are asked the same question
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        question = BACKGROUND[0] if trial[1] else WORDINGS["what_at"][0].format(place_phrase(places[trial[2]].place))
        groups[question].append(trial)
    said = {} if kept is None else {trial: answer for trial, answer in _read(kept) if trial in trials}
    for question, members in groups.items():
        members = [trial for trial in members if trial not in said]
        for start in range(0, len(members), BATCH):
            part = members[start : start + BATCH]
            index = torch.tensor([probe for _, _, probe in part])
            rows = prefix.rows(index)
            cells = torch.from_numpy(np.stack([places[p].background if back else places[p].cells for _, back, p in part]))
            values = torch.tensor([STRENGTH * units[f] for f, _, _ in part], dtype=torch.float32)
            with torch.inference_mode():
                hidden = asker.set_on_cells(rows.hidden, torch.tensor([f for f, _, _ in part]), values, cells)
            for trial, answer in zip(part, asker.ask(rows.low, asker.open(hidden), question), strict=True):
                said[trial] = answer
            if kept is not None:
                with kept.open("a") as file:
                    file.writelines(json.dumps([*trial, said[trial]]) + "\n" for trial in part)
            log(f"steered {len(said)} of {len(trials)}")
    return _steer_rows(explanations, chosen, said, seed)


def _read(kept: Path) -> list[tuple[Trial, str]]:
    """The answers of an earlier run; a last line that was broken off is cut from the file."""
    if not kept.is_file():
        return []
    text = kept.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        kept.write_text(whole)
    return [((f, b, p), answer) for f, b, p, answer in map(json.loads, whole.splitlines())]


def _of_background(e: Explanation) -> bool:
    return e.claim is not None and e.claim.kind == "background"


def _chosen(e: Explanation, places: list[Probe], seed: int) -> list[int]:
    """The probes without what an explanation claims that it is tried on, drawn at random for its feature, whatever is scored beside it."""
    assert e.claim is not None
    order = np.random.default_rng([seed, 2, e.index, _of_background(e)]).permutation(len(places))
    return [int(n) for n in order if not places[n].truth.mask(e.claim).any()][:TRIALS]


def _steer_rows(explanations: list[Explanation], chosen: dict[int, list[int]], said: dict[Trial, str], seed: int) -> list[Score]:
    """Of each explanation about pictures its score, or why it has none; `chosen` has by its number the probes that it was tried on."""
    by_probe: dict[tuple[bool, int], list[tuple[int, str]]] = defaultdict(list)
    for (feature, back, probe), answer in sorted(said.items()):
        by_probe[back, probe].append((feature, answer))
    out = []
    for n, e in enumerate(explanations):
        claim = e.claim
        if claim is None or claim.kind in ("token", "next"):
            continue
        if claim.kind not in NAMED or not chosen[n]:
            why = (
                "No probe image is without the label."
                if claim.kind in NAMED
                else "A place is not something that a question about a thing can name."
            )
            out.append(Score(e.index, e.method, "steer", None, None, 0, why, STEER_METHOD))
            continue
        back, rng = _of_background(e), np.random.default_rng([seed, 4, e.index])
        hits = [_names(claim, said[e.index, back, probe]) for probe in chosen[n]]
        random = []
        for probe in chosen[n]:
            others = [answer for f, answer in by_probe[back, probe] if f != e.index]
            if others:
                random.append(_names(claim, others[int(rng.integers(len(others)))]))
        chance = float(np.mean(random)) if random else None
        out.append(Score(e.index, e.method, "steer", float(np.mean(hits)), chance, len(hits), None, STEER_METHOD))
    return out


def choose(explanations: list[Explanation], scores: list[Score]) -> list[Explanation]:
    """Prefer, for each feature, the explanation with the best IoU and steering score together; what has no score comes last."""
    value: dict[tuple[int, str], float] = defaultdict(float)
    for s in scores:
        if s.metric in (IOU, STEER):
            value[s.index, s.explanation] += s.value or 0.0
    best: dict[int, Explanation] = {}
    for e in explanations:
        if e.label is None:
            continue
        rival = best.get(e.index)
        if rival is None or value[e.index, e.method] > value[rival.index, rival.method]:
            best[e.index] = e
    return [e.prefer() if best.get(e.index) is e else e for e in explanations]


def _mean(values: list[float]) -> dict[str, float]:
    """Mean, its 95 % interval (normal, over features) and quartiles."""
    if not values:
        return {"n": 0}
    mean, half = float(np.mean(values)), float(1.959964 * np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    low, median, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"n": len(values), "mean": mean, "low": mean - half, "high": mean + half, "p25": low, "median": median, "p75": high}


def _distribution(scores: Sequence[Score]) -> dict[str, Any]:
    measured = [s for s in scores if s.value is not None]
    failed = Counter((s.failure or "").split(":")[0] for s in scores if s.value is None)
    return {
        "value": _mean([s.value for s in measured if s.value is not None]), "random": _mean([s.baseline for s in measured if s.baseline is not None]),
        "failed": dict(failed.most_common(5)),
    }  # fmt: skip


def summary(explanations: list[Explanation], scores: list[Score], records: list[FeatureRecord], latents: int) -> dict[str, Any]:
    """Distributions as they are: how many were explained, why others were not, what the scores and their baselines are."""
    out: dict[str, Any] = {
        "features": latents, "alive": len(records), "on_pictures": sum(bool(record.top) for record in records),
        "labelled": sum(e.preferred for e in explanations), "concepts": dict(Counter(e.concept for e in explanations if e.preferred)),
    }  # fmt: skip
    chosen = {(e.index, e.method) for e in explanations if e.preferred}
    for method in sorted({e.method for e in explanations}):
        rows = [e for e in explanations if e.method == method]
        out[method] = {"asked": len(rows), "explained": sum(e.label is not None for e in rows), "preferred": sum(e.preferred for e in rows)}
        out[method]["failures"] = dict(Counter((e.failure or "").split(":")[0].split(";")[0] for e in rows if e.failure).most_common(5))
        labelled = {e.index for e in rows if e.label is not None}
        for metric in METRICS:
            out[method][metric] = _distribution(
                [s for s in scores if s.explanation == method and s.metric == metric and s.index in labelled]
            )
    out["preferred"] = {m: _distribution([s for s in scores if s.metric == m and (s.index, s.explanation) in chosen]) for m in METRICS}
    return out


def score_dictionary(
    checkpoint: Checkpoint, layer: int, sae: TopKSae, catalogue: Catalogue, shown: Shown, rows: Sequence[Explanation], folder: Path, probe_count: int,
    judged: int, seed: int, log: Callable[[str], None],
) -> tuple[list[Score], list[Explanation]]:  # fmt: skip
    """Score all explanations at a hook, or go on with it: answers the scores, and the explanations again with the preferred ones marked."""
    explanations = [replace(row, preferred=False) for row in with_claims(rows)]
    studied = SplitStudied(checkpoint, layer, sae, catalogue.model_id, 8, BATCH)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            log(f"scored {done} times a feature")

    scores = shared_scores(studied, catalogue, explanations, shown, judged, folder, seed, tick)
    units = {record.index: record.max_activation for record in catalogue.features({e.index for e in explanations})}
    scores += steer_scores(Asker(checkpoint, layer, sae), explanations, units, shown, probe_count, seed, log, folder / "steered.jsonl")
    return scores, choose(explanations, scores)
