"""Explain a dictionary's features: what is done is kept at once, so that a run goes on where it was ended, and asks nothing twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from facet_worker.catalogue import Catalogue, FeatureRecord
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.side_by_side import Stop, side_by_side
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers import by_pictures, by_vocabulary, causal, prompts
from facet_worker.explainers.by_vocabulary import Asking, Look
from facet_worker.explainers.outcome import BOTH, CAUSAL, METHODS, TOP_IMAGES, Outcome, now
from facet_worker.explainers.vocabulary import Vocabulary
from facet_worker.studied import GREY, Steered, SteerJob, StudiedModel, blank

STEER, LOOK = "steer", "look"
REFINE = "refine:"


@dataclass(frozen=True)
class ExplainSettings:
    """How features are explained. `methods` in the order in which lists prefer them; `side` in pixels of the empty picture, of that `grey`.

    With a `vocabulary` labels are read by it and asked of nobody. `also` are further questions to the studied model, and under one condition
    `wordings` of all answers have to stand for a label. With `looks` the studied model, and no endpoint, looks at the top pictures.
    """

    methods: tuple[str, ...] = (BOTH, TOP_IMAGES, CAUSAL)
    pictures: int = 5
    max_tokens: int = 512
    strengths: tuple[float, ...] = causal.STRENGTHS
    question: str = prompts.CAUSAL
    side: int = 336
    refine: bool = True
    refiner: str | None = None
    vocabulary: Vocabulary | None = None
    also: tuple[str, ...] = ()
    wordings: int = 1
    looks: bool = False
    grey: int = GREY

    @property
    def asking(self) -> Asking | None:
        return None if self.vocabulary is None else Asking((self.question, *self.also), self.vocabulary, self.wordings)

    def identity(self, catalogue: Catalogue, asker: EndpointAsker | None, studied: StudiedModel | None) -> dict[str, Any]:
        """What makes two runs' records comparable; which methods run, and how fast, is not part of it."""
        asked = json.dumps([prompts.TOP_IMAGES, prompts.BOTH, prompts.REFINE]).encode()
        own: dict[str, Any] = (
            {"vocabulary": self.vocabulary.sha256, "also": list(self.also), "wordings": self.wordings, "looks": self.looks}
            if self.vocabulary
            else {}
        )
        if self.grey != GREY:
            own["grey"] = self.grey
        return {
            "dictionary": catalogue.sha256, "explainer": asker.settings.model if asker else None, "studied": studied.name if studied else None,
            "pictures": self.pictures, "max_tokens": self.max_tokens, "strengths": list(self.strengths), "question": self.question,
            "side": self.side, "refine": self.refine, "refiner": self.refiner, "prompts": hashlib.sha256(asked).hexdigest()[:12], **own,
        }  # fmt: skip


@dataclass
class ExplainReport:
    """What came of a run. `left` counts explanations not yet asked for, `stopped` says why they were not; `seconds` over all runs."""

    features: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Counter[str]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    labelled: int = 0
    label_failures: Counter[str] = field(default_factory=Counter)
    unreadable_images: int = 0
    stopped: str | None = None
    endpoint: dict[str, Any] | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        methods = {
            m: {"explained": self.explained[m], "failed": dict(self.failed.get(m, {})), "left": self.left[m]}
            for m in METHODS
            if self.explained[m] or self.failed.get(m) or self.left[m]
        }
        return {
            "features": self.features, "methods": methods, "labelled": self.labelled, "label_failures": dict(self.label_failures),
            "unreadable_images": self.unreadable_images, "stopped": self.stopped, "endpoint": self.endpoint, "seconds": round(self.seconds, 1),
        }  # fmt: skip


class ExplainRun:
    """One run over one dictionary; see `run`."""

    def __init__(
        self, catalogue: Catalogue, settings: ExplainSettings, store: Store, asker: EndpointAsker | None = None, studied: StudiedModel | None = None,
        tick: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """`tick` is called for each feature that is through with one of the `passes`. Throws `invalid_request` where a method lacks what it asks, or the folder holds another configuration's answers."""
        for method in settings.methods:
            if method not in METHODS:
                raise FacetError(f"{method} is no explainer.", "invalid_request", fix=f"Choose of {', '.join(METHODS)}.")
            looks = method == TOP_IMAGES and settings.looks
            if (method != CAUSAL and not looks and asker is None) or ((method != TOP_IMAGES or looks) and studied is None):
                fix = f"{CAUSAL} asks the studied model, {TOP_IMAGES} the endpoint, {BOTH} both."
                raise FacetError(f"The explainer {method} lacks somebody to ask.", "invalid_request", fix=fix)
        self.catalogue, self.settings, self.store, self.asker, self.studied, self.tick = catalogue, settings, store, asker, studied, tick
        if (settings.also or settings.looks) and settings.vocabulary is None:
            fix = "Give a vocabulary: what the studied model says of its own pictures, or in answer to several questions, is read by one."
            raise FacetError("There is no vocabulary to read the studied model's answers by.", "invalid_request", fix=fix)
        self._dark: dict[str, tuple[str, ...]] = {}
        self._stop: BaseException | None = None
        self._ticking = threading.Lock()

    @property
    def passes(self) -> int:
        """How often every feature is gone through."""
        return 1 + self._steers + self._looks

    @property
    def _steers(self) -> bool:
        return self.studied is not None and (CAUSAL in self.settings.methods or BOTH in self.settings.methods)

    @property
    def _looks(self) -> bool:
        return self.settings.looks and TOP_IMAGES in self.settings.methods

    def run(self, wanted: Collection[int] | None = None, retry_failed: bool = False) -> tuple[list[Explanation], ExplainReport]:
        """Explains the wanted features (all alive ones where None); answers every row that there is now, and the report.

        Raises
        ------
        FacetError : what keeps everything from going on, once what was under way is kept.
        """
        self.store.agree("explain", self.settings.identity(self.catalogue, self.asker, self.studied))
        if retry_failed:
            steps = [*self.settings.methods, *(f"{REFINE}{m}" for m in self.settings.methods), STEER, LOOK]
            for step in steps:
                self.store.forget_failures(step)
        if self.studied is not None and self._steers:
            self._steer(self.studied, wanted)
        if self.studied is not None and self._looks:
            self._look(self.studied, wanted)
        self._ask(wanted)
        if isinstance(self._stop, FacetError):
            raise self._stop
        return self._collect(wanted)

    def _steer(self, studied: StudiedModel, wanted: Collection[int] | None) -> None:
        """Phase 1: what the studied model says with each feature set, a batch of features at a time."""
        s = self.settings
        picture = blank(s.side, s.grey)
        questions = (s.question, *s.also)

        def each(part: list[FeatureRecord]) -> None:
            # All at once: a model that was steered once answers every question.
            every = studied.steered([SteerJob(r.index, r.max_activation, s.strengths, picture, q) for r in part for q in questions])
            for number, record in enumerate(part):
                said = every[number * len(questions) : (number + 1) * len(questions)]
                good = [causal.to_json(one) for one in said if not isinstance(one, FacetError)]
                if len(good) == len(said):
                    self.store.keep_record(STEER, str(record.index), {"at": now(), "said": good[0], "also": good[1:]}, None, [])
                else:
                    why = next(str(one) for one in said if isinstance(one, FacetError))
                    self.store.keep_record(STEER, str(record.index), {"at": now(), "failure": why}, "engine", [])

        self._in_batches(STEER, wanted, studied.batch, each)

    def _look(self, studied: StudiedModel, wanted: Collection[int] | None) -> None:
        """Phase 1 of `looks`: what the studied model says of the top pictures."""
        s = self.settings
        questions = (s.question, *s.also)

        def each(part: list[FeatureRecord]) -> None:
            found = by_vocabulary.look(part, self.catalogue.pictures, studied, questions, s.pictures, self._dark)
            for record, (looks, broken, failure) in zip(part, found, strict=True):
                body = {"at": now(), "looks": [asdict(one) for one in looks], "unreadable": broken, "failure": failure}
                self.store.keep_record(LOOK, str(record.index), body, failure and "engine", [])

        self._in_batches(LOOK, wanted, studied.batch, each)

    def _in_batches(self, step: str, wanted: Collection[int] | None, size: int, each: Callable[[list[FeatureRecord]], None]) -> None:
        """Does the features that have no record of the step yet, some at a time."""
        part = list[FeatureRecord]()
        for record in self.catalogue.features(wanted):
            if self.store.record(step, str(record.index)) is None:
                part.append(record)
            self.tick()
            if len(part) >= size:
                each(part)
                part = []
        if part:
            each(part)

    def _steered(self, index: int) -> tuple[list[Steered] | str, str] | None:
        """Of each question what was said with the feature set, or why nothing was; and when."""
        kept = self.store.record(STEER, str(index))
        if kept is None:
            return None
        body = kept[0]
        if "said" not in body:
            return str(body["failure"]), str(body["at"])
        return [causal.from_json(one) for one in (body["said"], *body.get("also", []))], str(body["at"])

    def _ask(self, wanted: Collection[int] | None) -> None:
        """Phase 2: everything that the endpoint is asked, so many features at a time as it may get requests."""
        many = self.asker.settings.concurrency if self.asker else 1
        side_by_side(self.catalogue.features(wanted), self._feature, many, lambda: self._stop is not None, self._end)

    def _end(self, why: Stop) -> None:
        self._stop = self._stop or why

    def _feature(self, record: FeatureRecord) -> None:
        for method in self.settings.methods:
            if self._stop is not None:
                return
            if self.store.record(method, str(record.index)) is None:
                self._keep(method, record.index, self._explain(method, record))
            if (
                self.settings.refine
                and not self._read_by_vocabulary(method)
                and self.asker is not None
                and self.store.record(f"{REFINE}{method}", str(record.index)) is None
            ):
                row = self._row(method, record.index)
                if row is not None and row.text is not None:
                    self._keep(f"{REFINE}{method}", record.index, by_pictures.refine(row, self.asker, self.settings.refiner))
        with self._ticking:
            self.tick()

    def _read_by_vocabulary(self, method: str) -> bool:
        """Whether an explanation comes with the label that it was read by."""
        return self.settings.vocabulary is not None and (method == CAUSAL or (method == TOP_IMAGES and self.settings.looks))

    def _keep(self, step: str, index: int, found: Outcome) -> None:
        self.store.keep_record(step, str(index), found.body(), found.cause, found.asked)

    def _explain(self, method: str, record: FeatureRecord) -> Outcome:
        s = self.settings
        if method == TOP_IMAGES and s.looks:
            return self._looked_at(record.index)
        steered = self._steered(record.index) if method != TOP_IMAGES else None
        said = steered[0] if steered else None
        if method == CAUSAL:
            assert self.studied is not None
            assert steered is not None
            return self._caused(record.index, steered[0], self.studied.name, steered[1])
        assert self.asker is not None
        if isinstance(said, str):
            found = self._caused(record.index, said, self.asker.settings.model, now())
            return Outcome(Explanation(**{**vars(found.explanation), "method": BOTH}), found.cause)
        return by_pictures.explain(record, self.catalogue.pictures, self.asker, s.pictures, s.max_tokens, said[0] if said else None)

    def _caused(self, index: int, said: list[Steered] | str, author: str, at: str) -> Outcome:
        s = self.settings
        if s.asking is None:
            return causal.explain(index, said if isinstance(said, str) else said[0], author, causal.prompt_of(s.question, s.strengths), at)
        prompt = by_vocabulary.prompt_of(s.asking.questions, causal.conditions(s.strengths))
        return by_vocabulary.causal(index, said, s.asking, author, prompt, at)

    def _looked_at(self, index: int) -> Outcome:
        kept, asking = self.store.record(LOOK, str(index)), self.settings.asking
        assert kept is not None
        assert asking is not None
        assert self.studied is not None
        found = [Look(one["image"], tuple(one["bright"]), tuple(one["dark"])) for one in kept[0]["looks"]]
        prompt = by_vocabulary.prompt_of(
            asking.questions, "each of its top pictures by itself, dark where the feature is silent, and all dark"
        )
        return by_vocabulary.top_images(
            index, found, kept[0]["unreadable"], asking, self.studied.name, prompt, kept[0]["at"], kept[0].get("failure")
        )

    def _row(self, step: str, index: int) -> Explanation | None:
        kept = self.store.record(step, str(index))
        return None if kept is None else Explanation(**kept[0]["explanation"])

    def _collect(self, wanted: Collection[int] | None) -> tuple[list[Explanation], ExplainReport]:
        report = ExplainReport(endpoint=self.asker.report() if self.asker else None, seconds=self.store.seconds())
        report.stopped = None if self._stop is None else str(self._stop)
        rows = []
        for index in self.catalogue.indices(wanted):
            report.features += 1
            own = [row for method in self.settings.methods if (row := self._counted(method, index, report)) is not None]
            chosen = next((row for row in own if row.label), next((row for row in own if row.text), None))
            rows += [row.prefer() if row is chosen else row for row in own]
        return rows, report

    def _counted(self, method: str, index: int, report: ExplainReport) -> Explanation | None:
        kept = self.store.record(method, str(index))
        if kept is None:
            report.left[method] += 1
            return None
        body, cause = kept
        report.unreadable_images += len(body["evidence"].get("unreadable", []))
        if cause is not None:
            report.failed.setdefault(method, Counter())[cause] += 1
            return Explanation(**body["explanation"])
        report.explained[method] += 1
        report.labelled += self._read_by_vocabulary(method)
        refined = self.store.record(f"{REFINE}{method}", str(index))
        if refined is None:
            return Explanation(**body["explanation"])
        if refined[1] is not None:
            report.label_failures[refined[1]] += 1
            return Explanation(**body["explanation"])
        report.labelled += 1
        return Explanation(**refined[0]["explanation"])
