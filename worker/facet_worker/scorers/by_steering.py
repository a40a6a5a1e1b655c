"""Does clamping a feature make the studied model name what its label says, where it would not name it otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.explainers.causal import words
from facet_worker.scorers.rows import Measured
from facet_worker.studied import Steered, SteerJob, StudiedModel


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def names(label: str, answer: str) -> bool:
    """Whether every word of the label of three letters and more stands in the answer as a whole word, in singular or plural."""
    wanted = {_stem(word) for word in words(label)}
    return bool(wanted) and wanted <= {_stem(word) for word in words(answer)}


def effect(
    model: StudiedModel, feature: tuple[int, float], other: tuple[int, float] | None, label: str, pictures: Sequence[Pixels], question: str,
    strength: float,
) -> Measured:  # fmt: skip
    """Share of pictures on which the clamped model names the label; baseline: the same with another feature clamped.

    Pictures on which the model names the label anyway prove nothing and count as failed.

    Parameters
    ----------
    feature, other : index and maximum
    strength : in units of each one's own maximum, set on the whole picture
    """
    out = Measured()
    found = model.steered([SteerJob(*feature, (strength,), picture, question) for picture in pictures])
    usable: list[Pixels] = []
    for picture, said in zip(pictures, found, strict=True):
        if isinstance(said, FacetError):
            out.failures[f"the model: {str(said).rstrip('.')}"] += 1
        elif names(label, said.plain.text):
            out.failures["the model names it without the clamp"] += 1
        else:
            out.values.append(float(names(label, said.with_it[0].text)))
            usable.append(picture)
    if other is not None and usable:
        random = model.steered([SteerJob(*other, (strength,), picture, question) for picture in usable])
        out.baselines = [float(names(label, said.with_it[0].text)) for said in random if isinstance(said, Steered)]
    return out
