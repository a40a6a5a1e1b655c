"""The step `explain`: one folder a dictionary, with the answers so far and, at the end, explanations.parquet."""

from __future__ import annotations

from typing import Any

from facet_worker.catalogue import Catalogue
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.settings import CAUSES
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explainers.outcome import TOP_IMAGES
from facet_worker.explainers.run import ExplainReport, ExplainRun, ExplainSettings
from facet_worker.explainers.section import ExplainSection
from facet_worker.explainers.vocabulary import Vocabulary
from facet_worker.pipeline.files import write_json
from facet_worker.pipeline.progress import Progress
from facet_worker.pipeline.run_folder import Step
from facet_worker.pipeline.steps import Context
from facet_worker.step_tools import Models, catalogues, inputs_of, never_fired, write_rows

STEP = "explain"


def explain(context: Context, section: ExplainSection) -> dict[str, Any]:
    """Explains every dictionary. Throws `FacetError`, at a cost limit too; what was answered until then is kept."""
    found = catalogues(context, section.bundle, section.dictionaries)
    configuration = {**section.compared("endpoint", "bundle", "batch", "explainers", "dictionaries", "features")}
    configuration["explainer"] = section.endpoint.model if section.endpoint else None
    vocabulary = Vocabulary.load(context.settings.path(section.vocabulary)) if section.vocabulary else None
    configuration["vocabulary"] = vocabulary.sha256 if vocabulary else None
    configuration["dtype"] = context.settings.shared.model.dtype
    step = context.run.step(STEP, configuration, inputs_of(found), context.settings.shared.seed)
    models = Models(context, section.answer_tokens, section.batch)
    reports, files = {}, []
    for catalogue in found:
        report, rows = _one(context, section, step, catalogue, models, vocabulary)
        reports[catalogue.dictionary] = report.to_json()
        files.append(write_rows("explanations", rows, step.folder / catalogue.dictionary / "explanations.parquet"))
        write_json(step.folder / catalogue.dictionary / "report.json", report.to_json())
        _tell(step, report, catalogue.dictionary)
        step.troubles.add(
            f"{catalogue.dictionary}: no explanation, the feature never fires", times=never_fired(catalogue, _wanted(section))
        )
        if report.stopped is not None:
            left = ", ".join(f"{count} by {method}" for method, count in report.left.items())
            fix = "Raise cost_limit and run the same command again: what was answered is kept."
            raise FacetError(f"{report.stopped} Left to explain of {catalogue.dictionary}: {left or 'labels'}.", "invalid_request", fix=fix)
    return step.finish(reports, files)


def _one(
    context: Context, section: ExplainSection, step: Step, catalogue: Catalogue, models: Models, vocabulary: Vocabulary | None
) -> tuple[ExplainReport, list[Any]]:  # fmt: skip
    looks = section.looks == "studied"
    studied = models.studied(catalogue) if looks or set(section.explainers) - {TOP_IMAGES} else None
    store = Store(step.folder / catalogue.dictionary)
    asker = None
    try:
        asker = EndpointAsker(section.endpoint.settings(), store) if section.endpoint else None
        settings = ExplainSettings(
            tuple(section.explainers), section.pictures, section.max_tokens, tuple(section.strengths), section.question,
            models.side() if studied else ExplainSettings.side, section.refine, section.refiner,
            vocabulary, tuple(section.also), section.wordings, looks, section.grey,
        )  # fmt: skip
        wanted = _wanted(section)
        total = len(catalogue.indices(wanted))
        bar: Progress | None = None
        run = ExplainRun(catalogue, settings, store, asker, studied, lambda: bar.advance() if bar else None)
        bar = Progress(f"explain {catalogue.dictionary}", "feature", total * run.passes)
        try:
            rows, report = run.run(wanted, context.retry_failed)
        finally:
            bar.close()
        return report, rows
    finally:
        if asker is not None:
            asker.close()
        store.close()


def _wanted(section: ExplainSection) -> frozenset[int] | None:
    return None if section.features is None else frozenset(section.features)


def _tell(step: Step, report: ExplainReport, name: str) -> None:
    """Failures by their cause, for the end."""
    for method, causes in report.failed.items():
        for cause, count in causes.items():
            step.troubles.add(f"{name}: no explanation by {method}, {SAYS.get(cause, cause)}", times=count)
    for cause, count in report.label_failures.items():
        step.troubles.add(f"{name}: no label, {SAYS.get(cause, cause)}", times=count)
    if report.unreadable_images:
        step.troubles.add(f"{name}: a picture could not be read", times=report.unreadable_images)


SAYS = {
    "unable": "the explainer was unable to produce one",
    "off_format": "the answer was not in the form that was asked for",
    "cut_off": "the answer was cut off",
    "no_images": "no picture lights the feature up",
    "unreadable": "none of its pictures can be read",
    "nothing_new": "the clamp changes nothing in what the model says",
    "disagree": "the answers (at different strengths, or about different pictures) do not agree",
    "broken": "the clamp broke the model's language",
    "engine": "the studied model could not be asked",
    **{cause: f"the endpoint: {said}" for cause, said in CAUSES.items()},
}
"""By cause, how the report says it."""
