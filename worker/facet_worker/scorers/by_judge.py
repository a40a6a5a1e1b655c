"""Scores that a judge gives: does the explanation fit (consistency), and does it tell where the feature fires (detection)."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from facet_worker.catalogue import FeatureRecord, Pictures
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers.by_pictures import shown
from facet_worker.scorers import arithmetic
from facet_worker.scorers.judges import FITS, Judge, Verdict
from facet_worker.scorers.rows import Measured


def _note(out: Measured, verdict: Verdict) -> None:
    if verdict.key is not None:
        out.asked.append(verdict.key)
    if verdict.yes is None:
        out.failures[str(verdict.failure)] += 1


def consistency(
    record: FeatureRecord, pictures: Pictures, judge: Judge, row: Explanation, other: Explanation | None, count: int
) -> Measured:
    """The judge's verdict (1 or 0) on the masked top pictures: one on all of them, or where it sees one at a time one on each."""
    out = Measured()
    images, _, unreadable = shown(record, pictures, count)
    if not judge.together and unreadable:
        out.failures["the picture cannot be read"] += len(unreadable)
    if not images:
        return out
    sets: list[Sequence[Image.Image]] = [images] if judge.together else [[image] for image in images]

    def question(of: Explanation) -> str:
        return FITS.format(text=of.text) if judge.together else judge.shows(str(of.text), of.label)

    # Both explanations at once: a model that reads a picture reads it for all questions about it.
    both = [row] if other is None else [row, other]
    verdicts = judge.verdicts([(part, question(of)) for of in both for part in sets])
    for verdict in verdicts[: len(sets)]:
        _note(out, verdict)
        if verdict.yes is not None:
            out.values.append(float(verdict.yes))
    out.baselines = [float(verdict.yes) for verdict in verdicts[len(sets) :] if verdict.yes is not None]
    return out


def detection(
    pictures: Pictures, judge: Judge, row: Explanation, other: Explanation | None, on: Sequence[str], off: Sequence[str]
) -> Measured:
    """Balanced accuracy of the judge's answers about pictures on which the feature fires (`on`, hashes) and does not (`off`)."""
    out = Measured()
    loaded: list[tuple[bool, Image.Image]] = []
    for fires, hashes in ((True, on), (False, off)):
        for sha in hashes:
            try:
                loaded.append((fires, pictures.load(sha)))
            except FacetError:
                out.failures["the picture cannot be read"] += 1
    both = [row] if other is None else [row, other]
    every = judge.verdicts([([picture], judge.shows(str(of.text), of.label)) for of in both for _, picture in loaded])
    verdicts, random = every[: len(loaded)], every[len(loaded) :]
    right: dict[bool, list[bool]] = {True: [], False: []}
    for (fires, _), verdict in zip(loaded, verdicts, strict=True):
        _note(out, verdict)
        if verdict.yes is not None:
            right[fires].append(verdict.yes == fires)
    if right[True] and right[False]:
        out.value = arithmetic.balanced_accuracy(right[True], right[False])
        out.values = [float(value) for part in right.values() for value in part]
    else:
        out.why = "No pictures of both kinds, on which it fires and on which it does not, were found."
    if other is not None and out.value is not None:
        told = {
            kind: [v.yes == kind for (f, _), v in zip(loaded, random, strict=True) if f == kind and v.yes is not None]
            for kind in (True, False)
        }
        if told[True] and told[False]:
            out.baseline = arithmetic.balanced_accuracy(told[True], told[False])
    return out
