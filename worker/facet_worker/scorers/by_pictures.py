"""Scores that look at a feature's pictures: CLIP score, overlap with where the label is found, monosemanticity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from facet_worker.catalogue import ActivationMap, FeatureRecord, Pictures
from facet_worker.errors import FacetError
from facet_worker.explainers.masking import SIDE, SILENT, upsampled
from facet_worker.scorers import arithmetic
from facet_worker.scorers.rows import Measured


class Embeds(Protocol):
    """What CLIP does; see `facet_worker.scorers.vision.Clip`."""

    name: str

    def images(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]: ...

    def text(self, words: str) -> npt.NDArray[np.float32]: ...


FindsLabel = Callable[[str, Image.Image, str], npt.NDArray[np.bool_]]
"""Where a label is in a picture (its hash, itself) [height, width]: as a detector finds it (`facet_worker.scorers.vision.Grounder.mask`), or as is known."""


def readable(maps: Sequence[ActivationMap], pictures: Pictures, out: Measured) -> list[tuple[ActivationMap, Image.Image]]:
    """The maps whose picture can be read; the others count as failed."""
    found = []
    for one in maps:
        try:
            found.append((one, pictures.load(one.image)))
        except FacetError:
            out.failures["the picture cannot be read"] += 1
    return found


def clip_score(record: FeatureRecord, pictures: Pictures, embeds: Embeds, words: str, other: str | None, count: int) -> Measured:
    """CLIP score of the label with each of the top `count` pictures; baseline: of another feature's label with the same."""
    out = Measured()
    found = readable(record.top[:count], pictures, out)
    if not found:
        return out
    embedded = embeds.images([picture for _, picture in found])
    for vector in embedded:
        try:
            value = float(arithmetic.clip_scores(vector[None], embeds.text(words))[0])
            other_value = None if other is None else float(arithmetic.clip_scores(vector[None], embeds.text(other))[0])
        except ValueError as error:
            out.failures[str(error)] += 1
            continue
        out.values.append(value)
        if other_value is not None:
            out.baselines.append(other_value)
    return out


def overlap(record: FeatureRecord, pictures: Pictures, finds: FindsLabel, label: str, other: str | None, count: int) -> Measured:
    """IoU of where it fires with where the label is, on each of the top pictures squashed to 336 × 336; baseline: another feature's label."""
    out = Measured()
    for one, picture in readable(record.top[:count], pictures, out):
        square = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        active = upsampled(one.values) >= SILENT
        try:
            value = arithmetic.iou(active, finds(one.image, square, label))
            other_value = None if other is None else arithmetic.iou(active, finds(one.image, square, other))
        except FacetError as error:
            out.failures[str(error).rstrip(".")] += 1
            continue
        out.values.append(value)
        if other_value is not None:
            out.baselines.append(other_value)
    return out


def monosemanticity(record: FeatureRecord, embed: Callable[[str], npt.NDArray[np.float32]], random: Sequence[str]) -> Measured:
    """Of its stored pictures, weighted by mean activation; baseline: the same weights on as many random pictures, by hash in `random`.

    `embed` answers a picture's embedding by its hash, or throws `FacetError` where it cannot be read.
    """
    out = Measured()
    found: list[npt.NDArray[np.float32]] = []
    kept: list[float] = []
    for one in record.shown().values():
        try:
            found.append(embed(one.image))
            kept.append(one.mean)
        except FacetError:
            out.failures["the picture cannot be read"] += 1
    weights = np.array(kept)
    if len(found) < 2:
        return out
    try:
        out.value = arithmetic.monosemanticity(np.stack(found), weights)
    except ValueError as error:
        out.failures[str(error)] += len(found)
        return out
    out.values = list(weights) if out.value is not None else []
    others: list[npt.NDArray[np.float32]] = []
    for sha in random:
        if len(others) == len(found):
            break
        try:
            others.append(embed(sha))
        except FacetError:
            continue
    if len(others) == len(found) and out.value is not None:
        out.baseline = arithmetic.monosemanticity(np.stack(others), weights)
    return out
