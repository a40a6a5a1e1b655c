"""Score a dictionary's explanations: every row is kept at once, by what it was measured of, so that a run goes on where it was ended and asks nothing twice."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facet_worker.catalogue import Catalogue, FeatureRecord
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.side_by_side import Stop, side_by_side
from facet_worker.endpoint.store import Store
from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers import prompts
from facet_worker.score import Score
from facet_worker.scorers import by_judge, by_pictures, by_steering
from facet_worker.scorers.by_pictures import Embeds, FindsLabel
from facet_worker.scorers.judges import Judge
from facet_worker.scorers.keys import Others, key
from facet_worker.scorers.rows import Measured, impossible
from facet_worker.studied import StudiedModel, blank, pixels_of

CLIP, IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER = "clip", "iou", "consistency", "detection", "monosemanticity", "steer"
METRICS = (CLIP, IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER)
EMBEDDINGS_HELD, PICTURES_HELD = 20_000, 2_000
TRIES = 20


@dataclass(frozen=True)
class ScoreSettings:
    """How explanations are scored.

    Attributes
    ----------
    pictures : top pictures for CLIP, IoU and consistency
    shown : the top pictures that an explainer saw; detection asks about others where there are enough
    on, off : pictures for detection on which a feature fires, and does not
    trials : pictures for the steering effect, the empty one among them
    strength : of its clamp, in units of the feature's maximum
    max_share : share of the set on which a feature may fire for a random picture to count as one on which it does not
    """

    metrics: tuple[str, ...] = METRICS
    pictures: int = 5
    shown: int = 5
    on: int = 5
    off: int = 5
    trials: int = 6
    strength: float = 4.0
    question: str = prompts.CAUSAL
    side: int = 336
    max_share: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Tools:
    """What there is to score with; a metric without its tool is left out. `names` says which, for provenance, by metric; `weights` SHA-256 of their checkpoints, by metric."""

    clip: Embeds | None = None
    finds: FindsLabel | None = None
    finder: str = ""
    judge: Judge | None = None
    studied: StudiedModel | None = None
    asker: EndpointAsker | None = None
    embedder: Embeds | None = None
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def embeds(self) -> Embeds | None:
        """What compares pictures for monosemanticity: CLIP, where nothing else is given."""
        return self.embedder or self.clip

    def of(self, metric: str) -> Any:
        return {
            CLIP: self.clip, MONOSEMANTICITY: self.embeds, IOU: self.finds, CONSISTENCY: self.judge, DETECTION: self.judge, STEER: self.studied,
        }[metric]  # fmt: skip

    def names(self) -> dict[str, str]:
        return {
            "clip": self.clip.name if self.clip else "", "finder": self.finder, "judge": self.judge.name if self.judge else "",
            "studied": self.studied.name if self.studied else "", "embeds": self.embeds.name if self.embeds else "",
        }  # fmt: skip


@dataclass
class ScoreReport:
    """By metric how many rows have a value, what failed of the others, and the means; `stopped` says why a run ended early; `seconds` over all runs."""

    scored: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Counter[str]] = field(default_factory=dict)
    partly: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=dict)
    baselines: dict[str, list[float]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    endpoint: dict[str, Any] | None = None
    seconds: float = 0.0

    def take(self, score: Score) -> None:
        if score.value is None:
            self.failed.setdefault(score.metric, Counter())[str(score.failure)] += 1
            return
        self.scored[score.metric] += 1
        self.partly[score.metric] += score.failure is not None
        self.values.setdefault(score.metric, []).append(score.value)
        if score.baseline is not None:
            self.baselines.setdefault(score.metric, []).append(score.baseline)

    def to_json(self) -> dict[str, Any]:
        out = {}
        for m in METRICS:
            if self.scored[m] or self.failed.get(m) or self.left[m]:
                values, baselines = self.values.get(m, []), self.baselines.get(m, [])
                out[m] = {
                    "scored": self.scored[m], "with_failed_pictures": self.partly[m], "failed": dict(self.failed.get(m, {})), "left": self.left[m],
                    "mean": float(np.mean(values)) if values else None, "random": float(np.mean(baselines)) if baselines else None,
                }  # fmt: skip
        return {"metrics": out, "stopped": self.stopped, "endpoint": self.endpoint, "seconds": round(self.seconds, 1)}


class ScoreRun:
    """One run over one dictionary's explanations; see `run`."""

    def __init__(
        self, catalogue: Catalogue, explanations: Sequence[Explanation], settings: ScoreSettings, tools: Tools, store: Store,
        tick: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """`tick` is called for each feature that is through with one of the `passes`. Throws `invalid_request` for a metric that there is not, or whose tool is missing."""
        for metric in settings.metrics:
            if metric not in METRICS:
                raise FacetError(f"{metric} is no score.", "invalid_request", fix=f"Choose of {', '.join(METRICS)}.")
            if tools.of(metric) is None:
                raise FacetError(f"The score {metric} lacks its tool.", "invalid_request", fix="Give it, or leave the score out.")
        self.catalogue, self.settings, self.tools, self.store, self.tick = catalogue, settings, tools, store, tick
        self.rows: dict[int, list[Explanation]] = {}
        for row in explanations:
            self.rows.setdefault(row.index, []).append(row)
        self._others = Others(explanations, settings.seed)
        self._units: dict[int, float] = {}
        self._held: OrderedDict[str, npt.NDArray[np.float32]] = OrderedDict()
        self._seen: OrderedDict[str, frozenset[int]] = OrderedDict()
        self._model = threading.Lock()
        self._stop: BaseException | None = None
        self._methods = self._sentences()

    def _sentences(self) -> dict[str, str]:
        s, names = self.settings, self.tools.names()
        other = "baseline: the label of another feature"
        return {
            CLIP: f"CLIP score of the label with the top {s.pictures} pictures ({names['clip']}); {other}",
            IOU: f"overlap of where it fires on its top {s.pictures} pictures with where the label is found ({names['finder']}), 0 where it is not; {other}",
            CONSISTENCY: f"whether {names['judge']} says that the explanation fits the top {s.pictures} pictures, dark where it is silent; baseline: "
            "another feature's explanation",
            DETECTION: f"balanced accuracy of {names['judge']} in telling {s.on} pictures on which it fires, others than the explainer saw where there are, from "
            f"{s.off} random ones {'on which it does not' if self.tools.studied else 'of which no activation is stored'}; baseline: another feature's explanation",
            MONOSEMANTICITY: f"mean cosine of its stored pictures ({names['embeds']}), weighted by its activations; baseline: the same weights on random pictures",
            STEER: f"share of pictures without it on which {names['studied']} names the label once it is set to {s.strength:g} times its maximum on all of the "
            "picture; baseline: another feature set likewise",
        }

    def run(self, wanted: Collection[int] | None = None, retry_failed: bool = False) -> tuple[list[Score], ScoreReport]:
        """Scores the wanted features' explanations; answers every row that there is now, and the report.

        Raises
        ------
        FacetError : what keeps everything from going on, once what was under way is kept.
        """
        s = self.settings
        identity = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(s).items() if key != "metrics"}
        self.store.agree("score", {"dictionary": self.catalogue.sha256, **identity})
        for metric in s.metrics:
            weights = self.tools.weights.get(metric)
            self.store.agree(f"score:{metric}", {"method": self._methods[metric]} | ({"weights": weights} if weights else {}))
            if retry_failed:
                self.store.forget_failures(metric)
        if STEER in s.metrics:
            self._units = {record.index: record.max_activation for record in self.catalogue.features(self._others.indices)}
        # The endpoint is asked about several features at a time; everything else is one model, which is not for two threads.
        alone, together = self._groups()
        if alone:
            for record in self._records(wanted):
                self._score(record, alone)
                self.tick()
        if together:
            self._side_by_side(wanted, together)
        if isinstance(self._stop, FacetError):
            raise self._stop
        return self._collect(wanted)

    def _groups(self) -> tuple[list[str], list[str]]:
        metrics = self.settings.metrics
        return [m for m in metrics if not self._by_endpoint(m)], [m for m in metrics if self._by_endpoint(m)]

    @property
    def passes(self) -> int:
        """How often every feature is gone through."""
        return sum(bool(group) for group in self._groups())

    def _by_endpoint(self, metric: str) -> bool:
        return metric in (CONSISTENCY, DETECTION) and self.tools.asker is not None

    def indices(self, wanted: Collection[int] | None = None) -> list[int]:
        """The features that are scored."""
        return self.catalogue.indices([index for index in self.rows if wanted is None or index in wanted])

    def _records(self, wanted: Collection[int] | None) -> Iterator[FeatureRecord]:
        return self.catalogue.features([index for index in self.rows if wanted is None or index in wanted])

    def _side_by_side(self, wanted: Collection[int] | None, metrics: list[str]) -> None:
        assert self.tools.asker is not None
        many = self.tools.asker.settings.concurrency

        def records() -> Iterator[FeatureRecord]:
            for record in self._records(wanted):
                yield record
                self.tick()

        side_by_side(records(), lambda record: self._score(record, metrics), many, lambda: self._stop is not None, self._end)

    def _end(self, why: Stop) -> None:
        self._stop = self._stop or why

    def _score(self, record: FeatureRecord, metrics: Sequence[str]) -> None:
        for metric in metrics:
            for row in self._of(record.index, metric):
                if self._stop is not None:
                    return
                why, other, place = self._planned(metric, record, row)
                if self.store.record(metric, place) is None:
                    score, asked = self._measure(metric, record, row, why, other)
                    self.store.keep_record(metric, place, asdict(score), score.failure and "failed", asked)

    def _planned(self, metric: str, record: FeatureRecord, row: Explanation) -> tuple[str | None, Explanation | None, str]:
        """Why it cannot be measured, or the explanation that its chance is measured with; and the key of its record."""
        why, own = self._impossible(metric, record, row), metric == MONOSEMANTICITY
        other = None if own or why is not None else self._other(metric, row)
        return why, other, key(row.index, None if own else row, other)

    def _of(self, index: int, metric: str) -> list[Explanation]:
        """The explanations to score; what is the feature's own goes with one of them."""
        rows = [row for row in self.rows[index] if row.text is not None]
        if metric == MONOSEMANTICITY:
            chosen = next((row for row in rows if row.preferred), next(iter(rows or self.rows[index])))
            return [chosen]
        return rows

    def _measure(
        self, metric: str, record: FeatureRecord, row: Explanation, why: str | None, other: Explanation | None
    ) -> tuple[Score, list[str]]:
        method = self._methods[metric]
        if why is not None:
            return impossible(record.index, row.method, metric, method, why), []
        # Each score has its own chance, whatever is scored beside it.
        rng = np.random.default_rng([self.settings.seed, METRICS.index(metric), record.index])
        found = self._measured(metric, record, row, other, rng)
        unit = "verdicts" if metric == CONSISTENCY else "pictures"
        return found.row(record.index, row.method, metric, method, unit), found.asked

    def _impossible(self, metric: str, record: FeatureRecord, row: Explanation) -> str | None:
        if metric in (IOU, STEER) and not row.label:
            return "The explanation has no label."
        if metric in (CONSISTENCY, DETECTION) and self.tools.judge is not None and not self.tools.judge.can_ask(row.label):
            return "The judge has no words to be asked about this label."
        if metric != STEER and not record.top:
            return "It fires on no picture."
        if metric == DETECTION and self.tools.studied is None:
            share = (record.images or 0) / max(1, len(self.catalogue.pictures))
            if record.always_on or (share > self.settings.max_share and (record.images or 0) > len(record.shown())):
                return f"It fires on {share:.0%} of the pictures, and which ones is not stored, so none is known on which it does not."
        if metric == STEER and record.max_activation <= 0:
            return "It has no maximum to set it by."
        return None

    def _other(self, metric: str, row: Explanation) -> Explanation | None:
        judge = self.tools.judge if metric in (CONSISTENCY, DETECTION) else None
        return self._others.draw(metric, row) if judge is None else self._others.draw(metric, row, judge.can_ask)

    def _measured(
        self, metric: str, record: FeatureRecord, row: Explanation, other: Explanation | None, rng: np.random.Generator
    ) -> Measured:
        s, t, pictures = self.settings, self.tools, self.catalogue.pictures
        words, others = row.label or str(row.text), other.label if other else None
        if metric == CLIP:
            assert t.clip is not None
            return by_pictures.clip_score(record, pictures, t.clip, words, others, s.pictures)
        if metric == IOU:
            assert t.finds is not None
            return by_pictures.overlap(record, pictures, t.finds, words, others, s.pictures)
        if metric == MONOSEMANTICITY:
            random = self._silent(record, 2 * len(record.shown()) + 8, rng)
            return by_pictures.monosemanticity(record, self._embedded, random)
        if metric == CONSISTENCY:
            assert t.judge is not None
            return by_judge.consistency(record, pictures, t.judge, row, other, s.pictures)
        if metric == DETECTION:
            assert t.judge is not None
            return by_judge.detection(pictures, t.judge, row, other, self._firing(record, rng), self._off(record, rng))
        assert t.studied is not None
        unit = None if other is None else (other.index, self._units.get(other.index, 0.0))
        shown = self._neutral(record, rng)
        return by_steering.effect(
            t.studied, (record.index, record.max_activation), unit if unit and unit[1] > 0 else None, words, shown, s.question, s.strength
        )

    def _firing(self, record: FeatureRecord, rng: np.random.Generator) -> list[str]:
        """Pictures on which it fires: others than the explainer saw, as far as there are."""
        seen = [found.image for found in record.top[: self.settings.shown]]
        fresh = [sha for sha in record.shown() if sha not in seen]
        chosen = [fresh[i] for i in rng.permutation(len(fresh))[: self.settings.on]]
        return chosen + seen[: self.settings.on - len(chosen)]

    def _silent(self, record: FeatureRecord, count: int, rng: np.random.Generator) -> list[str]:
        """Random pictures on which it is not known to fire."""
        fires, hashes = record.shown(), self.catalogue.pictures.hashes
        order = rng.choice(len(hashes), min(len(hashes), count + len(fires)), replace=False)
        return [hashes[i] for i in order if hashes[i] not in fires][:count]

    def _off(self, record: FeatureRecord, rng: np.random.Generator) -> list[str]:
        """Random pictures on which it does not fire, as far as running the model tells; where it does not run, of which nothing is stored."""
        studied = self.tools.studied
        if studied is None:
            return self._silent(record, self.settings.off, rng)
        out: list[str] = []
        for sha in self._silent(record, TRIES * self.settings.off, rng):
            if len(out) == self.settings.off:
                break
            if record.index not in self._fires(studied, sha):
                out.append(sha)
        return out

    def _fires(self, studied: StudiedModel, sha: str) -> frozenset[int]:
        with self._model:
            if sha not in self._seen:
                try:
                    self._seen[sha] = studied.fires(pixels_of(self.catalogue.pictures.load(sha)))
                except FacetError:
                    # It counts as a failed picture of whoever is given it.
                    self._seen[sha] = frozenset()
                if len(self._seen) > PICTURES_HELD:
                    self._seen.popitem(last=False)
            return self._seen[sha]

    def _neutral(self, record: FeatureRecord, rng: np.random.Generator) -> list[Pixels]:
        out = [blank(self.settings.side)]
        for sha in self._silent(record, 2 * self.settings.trials, rng):
            if len(out) == self.settings.trials:
                break
            try:
                out.append(pixels_of(self.catalogue.pictures.load(sha)))
            except FacetError:
                continue
        return out

    def _embedded(self, sha: str) -> npt.NDArray[np.float32]:
        assert self.tools.embeds is not None
        if sha not in self._held:
            self._held[sha] = self.tools.embeds.images([self.catalogue.pictures.load(sha)])[0]
            if len(self._held) > EMBEDDINGS_HELD:
                self._held.popitem(last=False)
        return self._held[sha]

    def _collect(self, wanted: Collection[int] | None) -> tuple[list[Score], ScoreReport]:
        report = ScoreReport(stopped=None if self._stop is None else str(self._stop), seconds=self.store.seconds())
        report.endpoint = self.tools.asker.report() if self.tools.asker else None
        scores = []
        for record in self._records(wanted):
            for metric in self.settings.metrics:
                for row in self._of(record.index, metric):
                    kept = self.store.record(metric, self._planned(metric, record, row)[2])
                    if kept is None:
                        report.left[metric] += 1
                        continue
                    score = _score_of(kept[0], row.method)
                    report.take(score)
                    scores.append(score)
        return scores, report


def _score_of(body: Mapping[str, Any], explanation: str) -> Score:
    """Of the explainer that said it now: what two say alike is measured once."""
    return Score(**{**body, "explanation": explanation})
