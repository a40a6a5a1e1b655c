"""The step `score`: one folder a dictionary, with the scores so far and, at the end, scores.parquet."""

from __future__ import annotations

from typing import Any

from facet_worker.catalogue import Catalogue
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers.vocabulary import Vocabulary
from facet_worker.pipeline.files import write_json
from facet_worker.pipeline.progress import Progress
from facet_worker.pipeline.run_folder import Step
from facet_worker.pipeline.steps import Context
from facet_worker.sae import file_sha256
from facet_worker.score import Score
from facet_worker.scorers.judges import EndpointJudge, Judge, StudiedJudge
from facet_worker.scorers.run import CLIP, CONSISTENCY, DETECTION, IOU, MONOSEMANTICITY, STEER, ScoreReport, ScoreRun, ScoreSettings, Tools
from facet_worker.scorers.section import ScoreSection
from facet_worker.scorers.vision import Clip, Grounder
from facet_worker.step_tools import Models, catalogues, inputs_of, read_explanations, write_rows

STEP = "score"


def score(context: Context, section: ScoreSection) -> dict[str, Any]:
    """Scores every dictionary's explanations. Throws `FacetError`, at a cost limit too; what was measured until then is kept."""
    found = catalogues(context, section.bundle, section.dictionaries)
    places = {c.dictionary: _explanations_of(context, c) for c in found}
    tools = ("clip", "detector", "segmenter")
    configuration = {**section.compared("endpoint", "bundle", "batch", "metrics", "dictionaries", "features", "device", *tools)}
    work = _Work(context, section)
    configuration["vocabulary"] = work.vocabulary.sha256 if work.vocabulary else None
    configuration["judge_model"] = section.endpoint.model if section.endpoint else None
    configuration["dtype"] = context.settings.shared.model.dtype
    said = {f"{c.dictionary}/explanations": file_sha256(places[c.dictionary]) for c in found}
    # Scores of explanations that are not there any more are of no use, and the others are found again by what they are of. A tool belongs to its
    # metrics, whose records are of one alone; metrics may be added later.
    every = {**inputs_of(found), **work.weights, **said}
    step = context.run.step(STEP, configuration, every, context.settings.shared.seed, renewed=[*said, *tools])
    reports, files = {}, []
    for catalogue in found:
        report, rows = work.one(step, catalogue, read_explanations(places[catalogue.dictionary]))
        reports[catalogue.dictionary] = report.to_json()
        files.append(write_rows("scores", rows, step.folder / catalogue.dictionary / "scores.parquet"))
        write_json(step.folder / catalogue.dictionary / "report.json", report.to_json())
        for metric, causes in report.failed.items():
            for cause, count in causes.items():
                step.troubles.add(f"{catalogue.dictionary}: no {metric}: {cause.rstrip('.')}", times=count)
        if report.stopped is not None:
            left = ", ".join(f"{count} of {metric}" for metric, count in report.left.items())
            fix = "Raise cost_limit and run the same command again: what was answered is kept."
            raise FacetError(f"{report.stopped} Left to score of {catalogue.dictionary}: {left}.", "invalid_request", fix=fix)
    return step.finish(reports, files)


def _explanations_of(context: Context, catalogue: Catalogue) -> Any:
    own = context.run.folder / "explain" / catalogue.dictionary / "explanations.parquet"
    if own.is_file():
        return own
    theirs = catalogue.folder / "explanations.parquet"
    if not theirs.is_file():
        raise FacetError(
            f"There are no explanations of {catalogue.dictionary} to score.", "not_found", fix="Run `facet-worker explain` first."
        )
    return theirs


class _Work:
    """The tools, each loaded once and only for scores that need it."""

    def __init__(self, context: Context, section: ScoreSection) -> None:
        self.context, self.section = context, section
        self.models = Models(context, section.answer_tokens, section.batch)
        wants = set(section.metrics)
        path = context.settings.path
        self.vocabulary = Vocabulary.load(path(section.vocabulary)) if section.vocabulary else None
        self.clip: Clip | None = None
        self.grounder: Grounder | None = None
        if wants & {CLIP, MONOSEMANTICITY}:
            self.clip = Clip(path(self._named("clip", section.clip)), section.device)
        if IOU in wants:
            detector, segmenter = self._named("detector", section.detector), self._named("segmenter", section.segmenter)
            self.grounder = Grounder(path(detector), path(segmenter), section.device, section.threshold)
        self.weights = {"clip": self.clip.sha256} if self.clip else {}
        if self.grounder:
            self.weights |= self.grounder.sha256
        self.judged = bool(wants & {CONSISTENCY, DETECTION})
        if self.judged and section.judge == "endpoint" and section.endpoint is None:
            raise FacetError("[score] has no judge.", "invalid_request", fix='Add [score.endpoint], or set judge = "studied".')
        self.studies = STEER in wants or (self.judged and section.judge == "studied")

    def _weights(self) -> dict[str, str]:
        """By metric what its tools' weights are."""
        of = {metric: self.weights["clip"] for metric in (CLIP, MONOSEMANTICITY) if "clip" in self.weights}
        found = "".join(self.weights[name] for name in ("detector", "segmenter") if name in self.weights)
        return {**of, IOU: found} if found else of

    def _named(self, name: str, value: str | None) -> str:
        if value is None:
            raise FacetError(
                f"[score] names no {name}, which its metrics need.", "invalid_request", fix=f"Give the folder of a checkpoint as `{name}`."
            )
        return value

    def one(self, step: Step, catalogue: Catalogue, explanations: list[Explanation]) -> tuple[ScoreReport, list[Score]]:
        s = self.section
        studied = self.models.studied(catalogue) if self.studies else None
        store = Store(step.folder / catalogue.dictionary)
        asker = None
        try:
            judge: Judge | None = None
            if self.judged and s.judge == "studied":
                assert studied is not None
                judge = StudiedJudge(studied, s.shows, self.vocabulary)
            elif self.judged and s.endpoint is not None:
                asker = EndpointAsker(s.endpoint.settings(), store)
                judge = EndpointJudge(asker)
            finder = self.grounder
            tools = Tools(
                self.clip, (lambda _, picture, label: finder.mask(picture, label)) if finder else None, finder.name if finder else "", judge, studied, asker, weights=self._weights(),
            )  # fmt: skip
            settings = ScoreSettings(
                tuple(s.metrics), s.pictures, s.shown, s.on, s.off, s.trials, s.strength, s.question,
                self.models.side() if studied else ScoreSettings.side, seed=self.context.settings.shared.seed,
            )  # fmt: skip
            wanted = None if s.features is None else frozenset(s.features)
            bar: Progress | None = None
            run = ScoreRun(catalogue, explanations, settings, tools, store, lambda: bar.advance() if bar else None)
            bar = Progress(f"score {catalogue.dictionary}", "feature", len(run.indices(wanted)) * run.passes)
            try:
                scores, report = run.run(wanted, self.context.retry_failed)
            finally:
                bar.close()
            return report, scores
        finally:
            if asker is not None:
                asker.close()
            store.close()
