"""Explain a dictionary's features: what is done is kept at once, so that a run goes on where it was ended, and asks nothing twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from facet_worker.catalogue import Catalogue, FeatureRecord
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.side_by_side import Stop, side_by_side
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers import by_pictures, causal, prompts
from facet_worker.explainers.outcome import BOTH, CAUSAL, METHODS, TOP_IMAGES, Outcome, now
from facet_worker.studied import Steered, StudiedModel, blank

STEER = "steer"
REFINE = "refine:"


@dataclass(frozen=True)
class ExplainSettings:
    """How features are explained. `methods` in the order in which lists prefer them; `side` in pixels of the empty picture."""

    methods: tuple[str, ...] = (BOTH, TOP_IMAGES, CAUSAL)
    pictures: int = 5
    max_tokens: int = 512
    strengths: tuple[float, ...] = causal.STRENGTHS
    question: str = prompts.CAUSAL
    side: int = 336
    refine: bool = True
    refiner: str | None = None

    def identity(self, catalogue: Catalogue, asker: EndpointAsker | None, studied: StudiedModel | None) -> dict[str, Any]:
        """What makes two runs' records comparable; which methods run, and how fast, is not part of it."""
        asked = json.dumps([prompts.TOP_IMAGES, prompts.BOTH, prompts.REFINE]).encode()
        return {
            "dictionary": catalogue.sha256, "explainer": asker.settings.model if asker else None, "studied": studied.name if studied else None,
            "pictures": self.pictures, "max_tokens": self.max_tokens, "strengths": list(self.strengths), "question": self.question,
            "side": self.side, "refine": self.refine, "refiner": self.refiner, "prompts": hashlib.sha256(asked).hexdigest()[:12],
        }  # fmt: skip


@dataclass
class ExplainReport:
    """What came of a run. `left` counts explanations not yet asked for, `stopped` says why they were not."""

    features: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Counter[str]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    labelled: int = 0
    label_failures: Counter[str] = field(default_factory=Counter)
    unreadable_images: int = 0
    stopped: str | None = None
    endpoint: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        methods = {
            m: {"explained": self.explained[m], "failed": dict(self.failed.get(m, {})), "left": self.left[m]}
            for m in METHODS
            if self.explained[m] or self.failed.get(m) or self.left[m]
        }
        return {
            "features": self.features, "methods": methods, "labelled": self.labelled, "label_failures": dict(self.label_failures),
            "unreadable_images": self.unreadable_images, "stopped": self.stopped, "endpoint": self.endpoint,
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
            if (method != CAUSAL and asker is None) or (method != TOP_IMAGES and studied is None):
                fix = f"{CAUSAL} asks the studied model, {TOP_IMAGES} the endpoint, {BOTH} both."
                raise FacetError(f"The explainer {method} lacks somebody to ask.", "invalid_request", fix=fix)
        self.catalogue, self.settings, self.store, self.asker, self.studied, self.tick = catalogue, settings, store, asker, studied, tick
        self._stop: BaseException | None = None
        self._ticking = threading.Lock()

    @property
    def passes(self) -> int:
        """How often every feature is gone through."""
        return 1 + self._steers

    @property
    def _steers(self) -> bool:
        return self.studied is not None and (CAUSAL in self.settings.methods or BOTH in self.settings.methods)

    def run(self, wanted: Collection[int] | None = None, retry_failed: bool = False) -> tuple[list[Explanation], ExplainReport]:
        """Explains the wanted features (all alive ones where None); answers every row that there is now, and the report.

        Raises
        ------
        FacetError : what keeps everything from going on, once what was under way is kept.
        """
        self.store.agree("explain", self.settings.identity(self.catalogue, self.asker, self.studied))
        if retry_failed:
            steps = [*self.settings.methods, *(f"{REFINE}{m}" for m in self.settings.methods), STEER]
            for step in steps:
                self.store.forget_failures(step)
        if self.studied is not None and self._steers:
            self._steer(self.studied, wanted)
        self._ask(wanted)
        if isinstance(self._stop, FacetError):
            raise self._stop
        return self._collect(wanted)

    def _steer(self, studied: StudiedModel, wanted: Collection[int] | None) -> None:
        """Phase 1: what the studied model says with each feature set, a batch of features at a time."""
        s, part = self.settings, list[FeatureRecord]()
        picture = blank(s.side)

        def flush() -> None:
            found = causal.steer(studied, [(r.index, r.max_activation) for r in part], picture, s.question, s.strengths)
            for record, said in zip(part, found, strict=True):
                failure = isinstance(said, FacetError)
                body = {"at": now(), "failure": str(said)} if isinstance(said, FacetError) else {"at": now(), "said": causal.to_json(said)}
                self.store.keep_record(STEER, str(record.index), body, "engine" if failure else None, [])
                self.tick()
            part.clear()

        for record in self.catalogue.features(wanted):
            if self.store.record(STEER, str(record.index)) is None:
                part.append(record)
            else:
                self.tick()
            if len(part) >= studied.batch:
                flush()
        if part:
            flush()

    def _steered(self, index: int) -> tuple[Steered | str, str] | None:
        kept = self.store.record(STEER, str(index))
        if kept is None:
            return None
        body = kept[0]
        return (causal.from_json(body["said"]) if "said" in body else str(body["failure"])), str(body["at"])

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
            if self.settings.refine and self.asker is not None and self.store.record(f"{REFINE}{method}", str(record.index)) is None:
                row = self._row(method, record.index)
                if row is not None and row.text is not None:
                    self._keep(f"{REFINE}{method}", record.index, by_pictures.refine(row, self.asker, self.settings.refiner))
        with self._ticking:
            self.tick()

    def _keep(self, step: str, index: int, found: Outcome) -> None:
        self.store.keep_record(step, str(index), found.body(), found.cause, found.asked)

    def _explain(self, method: str, record: FeatureRecord) -> Outcome:
        s = self.settings
        steered = self._steered(record.index) if method != TOP_IMAGES else None
        if method == CAUSAL:
            assert self.studied is not None
            assert steered is not None
            return causal.explain(record.index, steered[0], self.studied.name, causal.prompt_of(s.question, s.strengths), steered[1])
        assert self.asker is not None
        said = steered[0] if steered else None
        if isinstance(said, str):
            found = causal.explain(record.index, said, self.asker.settings.model, causal.prompt_of(s.question, s.strengths), now())
            return Outcome(Explanation(**{**vars(found.explanation), "method": BOTH}), found.cause)
        return by_pictures.explain(record, self.catalogue.pictures, self.asker, s.pictures, s.max_tokens, said)

    def _row(self, step: str, index: int) -> Explanation | None:
        kept = self.store.record(step, str(index))
        return None if kept is None else Explanation(**kept[0]["explanation"])

    def _collect(self, wanted: Collection[int] | None) -> tuple[list[Explanation], ExplainReport]:
        report = ExplainReport(endpoint=self.asker.report() if self.asker else None)
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
        refined = self.store.record(f"{REFINE}{method}", str(index))
        if refined is None:
            return Explanation(**body["explanation"])
        if refined[1] is not None:
            report.label_failures[refined[1]] += 1
            return Explanation(**body["explanation"])
        report.labelled += 1
        return Explanation(**refined[0]["explanation"])
