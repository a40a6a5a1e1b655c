"""Explain by what the studied model itself says, read by a closed vocabulary: of its empty picture with the feature set, and of its own top pictures.

A small model can look at one picture at a time and cannot weigh several, so agreement takes the place of weighing: the label is the narrowest of the
vocabulary for which enough answers stand, and that the model does not give without the feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facet_worker.catalogue import FeatureRecord, Pictures
from facet_worker.errors import FacetError
from facet_worker.explain import Agreement, Cell, Claim, Explanation, agree
from facet_worker.explainers.masking import masked
from facet_worker.explainers.outcome import CAUSAL, TOP_IMAGES, Outcome, failed
from facet_worker.explainers.prompts import quoted
from facet_worker.explainers.vocabulary import Vocabulary
from facet_worker.studied import Steered, StudiedModel, pixels_of

MOST_PICTURES, LEAST_PICTURES = 0.8, 3
"""A label has to come for that share of the top pictures, and for so many."""

LEAST_STRENGTHS = 2


@dataclass(frozen=True)
class Look:
    """One top picture: the model's answers to each question with the feature's places bright, and with all of it dark."""

    image: str
    bright: tuple[str, ...]
    dark: tuple[str, ...]


@dataclass(frozen=True)
class Asking:
    """The questions, read by a vocabulary; under one condition `wordings` of the answers have to stand for a label."""

    questions: tuple[str, ...]
    vocabulary: Vocabulary
    wordings: int = 1

    def claims(self, answer: str) -> frozenset[Claim]:
        known = self.vocabulary.labels
        return frozenset(Claim("label", label, label, known[label].concept, rank) for label, rank in self.vocabulary.claims(answer).items())

    def cell(self, condition: str, answers: Sequence[str], without: Sequence[str]) -> Cell:
        """The labels that each answer stands for and the same question's answer without the feature does not."""
        plain = {claim.value for answer in without for claim in self.claims(answer)}
        read = tuple(frozenset(c for c in self.claims(answer) if c.value not in plain) for answer in answers)
        return Cell(condition, read, tuple(answers))


def _said(cells: Sequence[Cell], claim: Claim) -> str:
    """The answers that stand for a label, each once, in the model's own words."""
    answers = [
        answer
        for cell in cells
        for claims, answer in zip(cell.claims, cell.answers, strict=True)
        if claim.value in {c.value for c in claims}
    ]
    return ", ".join(quoted(answer, 80) for answer in dict.fromkeys(answers))


def _row(
    index: int, method: str, author: str, prompt: str, at: str, found: Agreement | str, sentence: str, evidence: dict[str, Any]
) -> Outcome:  # fmt: skip
    if isinstance(found, str):
        cause = "no_images" if found.startswith("There is nothing") else "nothing_new" if "nothing new" in found else "disagree"
        return Outcome(failed(index, method, author, prompt, at, found), cause, evidence=evidence)
    claim = found.claim
    return Outcome(Explanation(index, method, author, sentence, claim.label, claim.concept, None, prompt, at), evidence=evidence)


def prompt_of(questions: Sequence[str], what: str) -> str:
    """Provenance: what was asked, of what, and who gave the label."""
    return f"{' '.join(questions)} ({what}; the label is the narrowest of the vocabulary for which enough answers stand)"


def causal(index: int, found: Sequence[Steered] | str, asking: Asking, author: str, prompt: str, at: str) -> Outcome:
    """From the answers about the empty picture, one `Steered` a question; a string says why there are none."""
    if isinstance(found, str):
        return Outcome(failed(index, CAUSAL, author, prompt, at, f"The model could not be asked: {found}"), "engine")
    plain = [one.plain.text for one in found]
    values = [said.value for said in found[0].with_it]
    cells = [asking.cell(f"{value:g}", [one.with_it[i].text for one in found], plain) for i, value in enumerate(values)]
    agreed = agree(cells, frozenset(), 0.0, min(LEAST_STRENGTHS, len(cells)), asking.wordings)
    sentence = ""
    if isinstance(agreed, Agreement):
        times = " and ".join(f"{condition}×" for condition in agreed.conditions)
        sentence = f"Set on all of an empty picture to {times} its maximum, it makes the model say {_said(cells, agreed.claim)}."
    evidence = {"plain": plain, "answers": {cell.condition: cell.answers for cell in cells}}
    return _row(index, CAUSAL, author, prompt, at, agreed, sentence, evidence)


def look(
    records: Sequence[FeatureRecord], pictures: Pictures, studied: StudiedModel, questions: Sequence[str], count: int, dark: dict[str, tuple[str, ...]]
) -> list[tuple[list[Look], list[str], str | None]]:  # fmt: skip
    """Of each feature what the model says of its top pictures, the hashes of those that cannot be read, and why an answer about another is missing.

    A picture counts only where every answer came, in the bright and in the dark. `dark` keeps what it says of each picture when all of it is dark, for
    the features to come.
    """
    asked: list[tuple[Any, str]] = []
    slots: list[tuple[int, str]] = []
    shown: list[list[str]] = [[] for _ in records]
    broken: list[list[str]] = [[] for _ in records]
    missing: list[str] = []
    for number, record in enumerate(records):
        for found in record.top[:count]:
            try:
                picture = pictures.load(found.image)
            except FacetError:
                broken[number].append(found.image)
                continue
            shown[number].append(found.image)
            pixels = pixels_of(masked(picture, found.values))
            asked += [(pixels, question) for question in questions]
            slots.append((number, found.image))
            if found.image not in dark and found.image not in missing:
                missing.append(found.image)
    for image in missing:
        pixels = pixels_of(masked(pictures.load(image), np.zeros((1, 1), np.float32)))
        asked += [(pixels, question) for question in questions]
    answers = studied.answers(asked)
    told = [answers[i : i + len(questions)] for i in range(0, len(answers), len(questions))]
    why: dict[str, str] = {}
    for image, said in zip(missing, told[len(slots) :], strict=True):
        good, failure = _whole(said)
        if failure is None:
            dark[image] = good
        else:
            # Without it nothing tells what the model says of the picture anyway; the next feature asks again.
            why[image] = failure
    failures: list[str | None] = [None] * len(records)
    out: list[list[Look]] = [[] for _ in records]
    for (number, image), said in zip(slots, told, strict=False):
        good, failure = _whole(said)
        failure = failure or why.get(image)
        if failure is None:
            out[number].append(Look(image, good, dark[image]))
        else:
            failures[number] = failure
    return list(zip(out, broken, failures, strict=True))


def _whole(said: Sequence[str | FacetError]) -> tuple[tuple[str, ...], str | None]:
    """All answers to one picture, or why one is missing."""
    failure = next((str(one) for one in said if isinstance(one, FacetError)), None)
    return tuple(one for one in said if not isinstance(one, FacetError)), failure


def top_images(
    index: int, found: Sequence[Look], unreadable: Sequence[str], asking: Asking, author: str, prompt: str, at: str, failure: str | None = None
) -> Outcome:  # fmt: skip
    """From the answers about the top pictures; `failure` says why one is missing, with which there is no label."""
    cells = [asking.cell(one.image, one.bright, one.dark) for one in found]
    evidence = {
        "images": [one.image for one in found], "unreadable": list(unreadable), "bright": [one.bright for one in found], "dark": [one.dark for one in found],
    }  # fmt: skip
    if failure is not None:
        said = f"The model could not be asked: {failure}"
        return Outcome(failed(index, TOP_IMAGES, author, prompt, at, said), "engine", evidence=evidence)
    if not cells and unreadable:
        return Outcome(
            failed(index, TOP_IMAGES, author, prompt, at, "None of its top pictures can be read."), "unreadable", evidence=evidence
        )
    agreed = agree(cells, frozenset(), MOST_PICTURES, min(LEAST_PICTURES, max(1, len(cells))), asking.wordings)
    sentence = ""
    if isinstance(agreed, Agreement):
        sentence = f"Of {len(agreed.conditions)} of its {agreed.of} top pictures, dark where it is silent, the model says {_said(cells, agreed.claim)}."
    return _row(index, TOP_IMAGES, author, prompt, at, agreed, sentence, evidence)
