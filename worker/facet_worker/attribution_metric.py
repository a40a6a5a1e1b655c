"""An attribution's metric, made exact: which logits of which places of the answer it reads; the same rules as lib/core/attribution-metric.ts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.errors import FacetError


@dataclass(frozen=True)
class Target:
    """metric = Σ over `places` of (Σ weight · logit − normalizer · ln Σ exp logit).

    Attributes
    ----------
    places : (place in the answer, {token id: weight}, normalizer)
    start, end : the places that are read, `end` not included
    """

    kind: str
    places: tuple[tuple[int, dict[int, float], float], ...]
    answer: int | None
    baseline: int | None
    start: int
    end: int

    def value(self, logits: Mapping[int, Tensor]) -> Tensor:
        """The metric, a scalar in double precision, from the logits [V] of its places; differentiable."""
        total = torch.zeros((), dtype=torch.float64)
        for place, weights, normalizer in self.places:
            row = logits[place].double()
            for token, weight in weights.items():
                total = total.to(row.device) + weight * row[token]
            if normalizer:
                total = total - normalizer * torch.logsumexp(row, -1)
        return total


def check_attribution(request: Mapping[str, Any], answer: Sequence[int], vocabulary: int, num_latents: int) -> None:
    """Refuses what cannot be without the model. Throws `place_unknown`, `token_unknown`, `feature_not_found` and `invalid_request`."""
    metric, position = request["metric"], request["position"]
    kind = metric["type"]
    named = [metric.get("answer") if kind != "logprob" else None, metric.get("baseline") if kind == "difference" else None]
    for token in [*answer, *named]:
        if token is not None and token >= vocabulary:
            raise FacetError(f"The model has no token {token}: its ids are 0 to {vocabulary - 1}.", "token_unknown")
    if position >= len(answer):
        raise FacetError(f"The answer has {len(answer)} tokens, so there is no place {position}, counted from 0.", "place_unknown")
    if kind == "logprob":
        start, end = _span(metric, answer)
        if end > len(answer):
            raise FacetError(f"The answer has {len(answer)} tokens and the span ends at {end}.", "place_unknown")
        if start >= end:
            raise FacetError(f"metric: the span from {start} to {end} holds no token.", "invalid_request")
    if kind == "difference" and metric.get("baseline") is not None and metric["baseline"] == metric.get("answer", answer[position]):
        raise FacetError("metric: answer and baseline are the same token, whose difference is nothing.", "invalid_request")
    for feature in request.get("measure") or ():
        if feature >= num_latents:
            raise FacetError(f"The dictionary has features 0 to {num_latents - 1}, and not {feature}.", "feature_not_found")


def _span(metric: Mapping[str, Any], answer: Sequence[int]) -> tuple[int, int]:
    return metric.get("from", 0), metric.get("to", len(answer))


def places_read(request: Mapping[str, Any], answer: Sequence[int]) -> list[int]:
    """Places of the answer whose logits are read: the metric's and `position`, ascending."""
    if request["metric"]["type"] != "logprob":
        return [request["position"]]
    return sorted({request["position"], *range(*_span(request["metric"], answer))})


def target_of(request: Mapping[str, Any], answer: Sequence[int], logits: Tensor) -> Target:
    """The metric of a checked request. `logits` [V]: those from which the token at `position` is chosen."""
    metric, position = request["metric"], request["position"]
    if metric["type"] == "logprob":
        start, end = _span(metric, answer)
        return Target("logprob", tuple((at, {answer[at]: 1.0}, 1.0) for at in range(start, end)), None, None, start, end)
    chosen = metric.get("answer", answer[position])
    if metric["type"] == "logit":
        return Target("logit", ((position, {chosen: 1.0}, 0.0),), chosen, None, position, position + 1)
    others = logits.detach().clone()
    others[chosen] = -torch.inf
    baseline = metric.get("baseline", int(others.argmax()))
    return Target("difference", ((position, {chosen: 1.0, baseline: -1.0}, 0.0),), chosen, baseline, position, position + 1)


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's, −1 to 1; None for fewer than three pairs, or where either side is all equal."""
    if len(left) < 3:
        return None
    a, b = (_ranks(np.asarray(side, np.float64)) for side in (left, right))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else None


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From 1; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[group]
    return mean
