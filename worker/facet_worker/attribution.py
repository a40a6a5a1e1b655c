"""Which features make a token of an answer what it is: one pass forward and one back, above the hook only; the Python side of lib/engine/onnx/attribute.ts.

The passes are those that write an answer, the prompt and then token by token behind its cache, so that every family of models is differentiated as it runs.
What lies below the hook takes part in no gradient: the states there are leaves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facet_worker.activations import prompt_positions
from facet_worker.attribution_metric import Target, places_read, rank_correlation, target_of
from facet_worker.batch import SHARED_POSITIONS, Served
from facet_worker.caches import widened
from facet_worker.clamping import Variant, clamp_rows
from facet_worker.contributions import Active, active_features, contributions_of
from facet_worker.decoder import layer_of
from facet_worker.errors import FacetError
from facet_worker.hooked_model import HookedModel, Place
from facet_worker.planning import ClampPlan
from facet_worker.prompting import Prompt, TextCodec, image_hashes
from facet_worker.recompute import recomputed
from facet_worker.sampling import likeliest, log_softmax

LARGEST_BATCH = 8
# Of each pass of the hook, what the blocks above are given: [T, D] of the prompt, then [1, D] a token.
States = list[Tensor]


@dataclass(frozen=True)
class Explained:
    """A checked request.

    Attributes
    ----------
    variant : what the arm that answered makes of the plan's clamps
    frame : what the result says of model, dictionary and engine
    recompute : to spare memory
    """

    request: Mapping[str, Any]
    answer: Sequence[int]
    prompt: Prompt
    plan: ClampPlan
    variant: Variant
    served: Served
    codec: TextCodec
    frame: Mapping[str, Any]
    cancelled: Callable[[], bool]
    recompute: bool = False

    def go_on(self) -> None:
        """Throws `cancelled` where nobody waits any more."""
        if self.cancelled():
            raise FacetError("The request was cancelled.", "cancelled")


def attribute(hooked: HookedModel, asked: Explained) -> Iterator[dict[str, Any]]:
    """`result`, `measured`s, `agreement`, `done` of the wire contract. Throws `cancelled` between two passes, and `engine_failed`."""
    request, answer, served = asked.request, asked.answer, asked.served
    asked.go_on()
    places = places_read(request, answer)
    written = list(answer[: places[-1]])
    read = _read(hooked, asked, written, places)
    states, target = read.states, read.target
    whole, method = torch.cat(states).float(), request["method"]
    found = contributions_of(whole, read.gradient, read.active, served.sae, _on_image(asked, len(written)))
    shown = np.asarray(read.here.cpu().numpy(), np.float32)
    result = {
        **asked.frame,
        "prompt": {"text": asked.prompt.text, "images": _images(asked)},
        "positions": prompt_positions(asked.prompt, asked.codec, written),
        "answer": [{"id": token, "text": asked.codec.shown(answer[:i], token)} for i, token in enumerate(answer)],
        "position": request["position"],
        **_told_logits(asked, shown),
        "metric": _told_metric(asked, target, read.worth),
        "method": {"type": method["type"], "steps": method.get("steps", 1), "withoutFeatures": read.without},
        "totals": found.totals,
        "active": found.active,
        "rows": found.rows(request["limit"]),
        "sums": found.sums.tolist(),
        "timingsMs": {"queued": 0.0, "states": round(1e3 * read.seconds[0], 2), "gradient": round(1e3 * read.seconds[1], 2)},
    }
    yield {"type": "result", "result": result}
    features = list(dict.fromkeys(request["measure"] if request.get("measure") is not None else found.order[: request["exact"]]))
    estimates, effects = found.estimates(), []
    for batch, values in _ablated(hooked, asked, written, places, target, states, read.active, features):
        told = [
            {"feature": feature, "estimate": estimates.get(feature, 0.0), "effect": read.worth - after}
            for feature, after in zip(batch, values, strict=True)
        ]
        effects += told
        yield {"type": "measured", "effects": told, "done": len(effects), "total": len(features)}
    correlation = rank_correlation([one["estimate"] for one in effects], [one["effect"] for one in effects])
    yield {"type": "agreement", "n": len(effects), "rankCorrelation": correlation}
    yield {"type": "done"}


@dataclass(frozen=True)
class _Read:
    """What the passes gave: states, detached; logits `here` [V] and the metric's `worth`; the gradient, float32 [T, D]; seconds of states and gradient."""

    states: States
    here: Tensor
    target: Target
    worth: float
    active: Active
    gradient: Tensor
    without: float | None
    seconds: tuple[float, float]


def _read(hooked: HookedModel, asked: Explained, written: Sequence[int], places: Sequence[int]) -> _Read:
    request, method, start = asked.request, asked.request["method"], time.perf_counter()
    plain = method["type"] == "gradient"

    def as_clamped(hidden: Tensor, first: bool) -> Tensor:
        return _clamped(asked, hidden[0], first)[None]

    with _graphs(hooked, asked) if plain else nullcontext():
        leaves, logits = _passes(hooked, asked, written, as_clamped, graph=plain)
        here = logits[request["position"]][0]
        target = target_of(request, asked.answer, here)
        value = target.value({place: logits[place][0] for place in places})
        worth = _in_range(float(value.detach()))
        states = [leaf.detach()[0] for leaf in leaves]
        with torch.inference_mode():
            active = active_features(*asked.served.sae.encode(torch.cat(states).float()))
        asked.go_on()
        read, without = time.perf_counter(), None
        if plain:
            gradient = _gradient(value, leaves)
        else:
            gradient, without = _integrated(hooked, asked, written, places, target, states, active, method["steps"])
            _in_range(without)
    # In float16 the way back leaves the range before the way there does.
    _in_range(float(gradient.abs().max()))
    spent = time.perf_counter() - read
    return _Read(states, here.detach(), target, worth, active, gradient, without, (read - start, spent))


def _in_range(value: float) -> float:
    """A number that can be told: JSON has no word for the others."""
    if not math.isfinite(value):
        raise FacetError(
            "The model's numbers are out of range, so there is nothing to explain.",
            "engine_failed",
            fix="Use smaller strengths, or serve the model with --dtype bfloat16 or float32.",
        )
    return value


def _graphs(hooked: HookedModel, asked: Explained) -> AbstractContextManager[None]:
    """To be open from a pass with a gradient until that is taken."""
    return recomputed(hooked.model, layer_of(asked.served.hook) + 1) if asked.recompute else nullcontext()


def _clamped(asked: Explained, hidden: Tensor, first: bool) -> Tensor:
    """What the blocks above are given in the place of the hook's states [R, D], as an answer's arm gives it."""
    plan, mode, device = asked.plan, asked.request["mode"], hidden.device
    if first:
        which = [i for i, clamp in enumerate(plan.clamps) if len(clamp.positions)]
        rows = [torch.from_numpy(plan.clamps[i].positions).to(device) for i in which]
    else:
        which = plan.generated
        rows = [torch.zeros(1, dtype=torch.long, device=device)] * len(which)
    if not which and mode == "delta":
        return hidden
    return clamp_rows(mode, plan.clamps, which, rows, asked.variant, asked.served.sae, hidden.float()).output.to(hidden.dtype)


def _passes(
    hooked: HookedModel, asked: Explained, written: Sequence[int], given: Callable[[Tensor, bool], Tensor], graph: bool, size: int = 1
) -> tuple[list[Tensor], dict[int, Tensor]]:
    """The prompt and the tokens through the model: what `given` puts in the place of the hook's states, [size, R, D] each, and logits [size, V] by place."""
    leaves: list[Tensor] = []

    def change(hidden: Tensor) -> Tensor:
        leaf = given(hidden.detach(), not leaves).detach()
        leaves.append(leaf.requires_grad_() if graph else leaf)
        return leaf

    logits, cache = hooked.prefill(asked.prompt.inputs, asked.served.block, change, graph=graph)
    position = hooked.next_position(asked.prompt.layout.length)
    cache, by_place = widened(cache, size) if size > 1 else cache, {0: logits}
    for i, token in enumerate(written):
        places = [Place(position + i, 0)] * size
        by_place[i + 1] = hooked.token([token] * size, cache, {asked.served.block: change}, places, graph=graph)
    return leaves, by_place


def _gradient(value: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """∂value/∂states, float32 [T, D]."""
    parts = torch.autograd.grad(value, list(leaves), allow_unused=True)
    # A later token's own state has no say in what is read before it.
    return torch.cat([torch.zeros_like(leaf)[0] if part is None else part[0] for part, leaf in zip(parts, leaves, strict=True)]).float()


def _split(rows: Tensor, like: States) -> list[Tensor]:
    return list(rows.split([len(part) for part in like]))


def _explicit(states: Sequence[Tensor]) -> Callable[[Tensor, bool], Tensor]:
    """Puts in these, [B, R, D] a pass, one after the other."""
    left = iter(states)
    return lambda hidden, _first: next(left).to(hidden.dtype)


def _integrated(
    hooked: HookedModel,
    asked: Explained,
    written: Sequence[int],
    places: Sequence[int],
    target: Target,
    states: States,
    active: Active,
    steps: int,
) -> tuple[Tensor, float]:
    """The mean gradient along the way from the states without features, and the metric there."""
    whole = torch.cat(states).float()
    part = active.part(asked.served.sae, len(whole))
    mean = torch.zeros_like(whole)

    def at(share: float, graph: bool) -> tuple[list[Tensor], Tensor]:
        asked.go_on()
        given = [rows[None] for rows in _split(whole - (1 - share) * part, states)]
        leaves, logits = _passes(hooked, asked, written, _explicit(given), graph=graph)
        return leaves, target.value({place: logits[place][0] for place in places})

    for i in range(steps):
        with _graphs(hooked, asked):
            leaves, value = at((i + 0.5) / steps, True)
            mean += _gradient(value, leaves) / steps
    return mean, float(at(0.0, False)[1])


def rows_together(served: Served, positions: int) -> int:
    """How many ablations of a sequence pass as one batch."""
    return max(1, min(LARGEST_BATCH, SHARED_POSITIONS // positions)) if served.abilities.shared else 1


def _ablated(
    hooked: HookedModel,
    asked: Explained,
    written: Sequence[int],
    places: Sequence[int],
    target: Target,
    states: States,
    active: Active,
    features: Sequence[int],
) -> Iterator[tuple[list[int], list[float]]]:
    """Some features at a time, and the metric without each of them alone."""
    whole, sae = torch.cat(states).float(), asked.served.sae
    size = 1 if asked.recompute else rows_together(asked.served, len(whole))
    for start in range(0, len(features), size):
        asked.go_on()
        batch = list(features[start : start + size])
        without = torch.stack([whole - active.part(sae, len(whole), feature) for feature in batch])
        given = list(without.split([len(part) for part in states], 1))
        _, logits = _passes(hooked, asked, written, _explicit(given), graph=False, size=len(batch))
        yield batch, [_in_range(float(target.value({place: logits[place][row] for place in places}))) for row in range(len(batch))]


def _on_image(asked: Explained, more: int) -> Tensor:
    return torch.cat([torch.from_numpy(asked.prompt.layout.image), torch.zeros(more, dtype=torch.bool)])


def _images(asked: Explained) -> list[dict[str, Any]]:
    hashes = image_hashes(asked.request["messages"])
    return [{"sha256": sha, "rows": grid.rows, "cols": grid.cols} for sha, grid in zip(hashes, asked.prompt.layout.images, strict=True)]


def _told_logits(asked: Explained, logits: Any) -> dict[str, Any]:
    request, logprobs = asked.request, log_softmax(logits)
    before = asked.answer[: request["position"]]

    def told(token: int) -> dict[str, Any]:
        return {"id": token, "text": asked.codec.shown(before, token), "logprob": float(logprobs[token]), "logit": float(logits[token])}

    return {
        "chosen": told(asked.answer[request["position"]]),
        "alternatives": [told(token) for token in likeliest(logprobs, request["alternatives"])],
    }


def _told_metric(asked: Explained, target: Target, value: float) -> dict[str, Any]:
    before = asked.answer[: asked.request["position"]]

    def told(token: int | None) -> dict[str, Any] | None:
        return None if token is None else {"id": token, "text": asked.codec.shown(before, token)}

    read = {"from": target.start, "to": target.end, "value": value}
    return {"type": target.kind, "answer": told(target.answer), "baseline": told(target.baseline), **read}
