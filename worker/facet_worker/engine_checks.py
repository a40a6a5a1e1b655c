"""What tests hold an engine against: plain arithmetic in double precision, and captures taken apart from the engine's own hook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from facet_worker.decoder import decoder_blocks
from facet_worker.dictionaries import Dictionary
from facet_worker.engine import Tap
from facet_worker.torch_engine import TorchEngine

Array = npt.NDArray[np.float64]


def user(text: str, images: int = 1) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "image", "image": {"sha256": f"{i:064x}"}} for i in range(images)]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def ask(
    engine: TorchEngine, clamps: Sequence[Mapping[str, Any]] = (), text: str = "what is it ?", images: int = 1, **more: Any
) -> dict[str, Any]:
    """A request with its defaults filled in."""
    usual = {"op": "set", "value": 1.0, "unit": "raw", "scope": {"type": "image"}}
    sampling = {"maxTokens": 5, "temperature": 0, "topP": 1, "seed": 0, **more.pop("sampling", {})}
    return {
        "dictionary": engine.dictionaries()[0],
        "messages": [user(text, images)],
        "sampling": sampling,
        "interventions": [{**usual, **clamp} for clamp in clamps],
        "mode": "delta",
        "controls": ["baseline"],
        "alternatives": 3,
        **more,
    }


@dataclass
class Outcome:
    """By arm: `hidden` and `given` at the hook, float64 [positions, D], the prompt and every token that entered; receipts; ids; logits."""

    events: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)
    logits: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    hidden: dict[str, Array] = field(default_factory=dict)
    given: dict[str, Array] = field(default_factory=dict)


def run(
    engine: TorchEngine, request: dict[str, Any], images: Sequence[Any], units: Mapping[int, float] | None = None, force: Any = None
) -> Outcome:
    """A request to its end, with everything that passed."""
    out = Outcome()
    states: dict[str, list[Any]] = {}
    given: dict[str, list[Any]] = {}

    def on_hidden(event: Any) -> None:
        states.setdefault(event.arm, []).append(event.hidden.double().numpy())
        given.setdefault(event.arm, []).append(event.output.double().numpy())

    def on_logits(arm: str, _: int, logits: Any) -> None:
        out.logits.setdefault(arm, []).append(logits.numpy())

    for event in engine.generate(request, images, units or {}, lambda: False, Tap(on_hidden, on_logits, force or {})):
        out.events.append(event)
        if event["type"] == "token":
            out.ids.setdefault(event["arm"], []).append(event["id"])
        if event["type"] == "receipt":
            out.receipts[event["receipt"]["arm"]] = event["receipt"]
    out.hidden = {arm: np.concatenate(parts) for arm, parts in states.items()}
    out.given = {arm: np.concatenate(parts) for arm, parts in given.items()}
    return out


@contextmanager
def own_outputs(engine: TorchEngine, layer: int) -> Iterator[list[Array]]:
    """What the block itself puts out, [B, T, D] a pass, before the engine changes it. Open this before the engine runs."""
    seen: list[Array] = []
    _, blocks = decoder_blocks(engine.hooked.model)

    def look(_module: nn.Module, _args: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        seen.append(hidden.detach().double().numpy())

    handle = blocks[layer].register_forward_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def inputs_of_next_block(engine: TorchEngine, layer: int) -> Iterator[list[Array]]:
    """What the block above really receives, [B, T, D] a pass: taken before it runs, by nothing that the engine knows of; block 0's with -1."""
    seen: list[Array] = []
    _, blocks = decoder_blocks(engine.hooked.model)

    def look(_module: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen.append(hidden.detach().double().numpy())

    handle = blocks[layer + 1].register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def by_arm(passes: Sequence[Array], arms: int) -> list[Array]:
    """The positions of each arm, [P, D], from passes [B, T, D]: the prompt once for all arms, or as one batch, or one after another; then tokens."""
    prompts = [row for each in passes if each.shape[1] > 1 for row in each]
    tokens = [each for each in passes if each.shape[1] == 1]
    return [np.concatenate([prompts[arm % len(prompts)], *(token[arm] for token in tokens)]) for arm in range(arms)]


def latents(sae: Dictionary, state: Array) -> dict[int, float]:
    """TopK latents of one state [D] by the paper's formula."""
    w_enc, b_enc, b_dec = (part.double().numpy() for part in (sae.w_enc, sae.b_enc, sae.b_dec))
    pre = np.maximum(w_enc @ (state - b_dec) + b_enc, 0)
    best = np.argsort(-pre, kind="stable")[: sae.k]
    return {int(i): float(pre[i]) for i in best if pre[i] > 0}


def target(clamp: Mapping[str, Any], unit: float, now: float) -> float:
    """What a clamp asks for."""
    value = clamp["value"]
    return {"set": value * unit, "scale": value * now, "add": now + value * unit, "ablate": 0.0}[clamp["op"]]


def check_requested_change(
    sae: Dictionary, clamps: Sequence[Any], covers: Any, steered: Array, base: Array, own: Array | None = None
) -> int:
    """Holds steered − base [P, D] against the request at every position; answers how many were changed.

    `covers(clamp, position)` says where a clamp acts; `own` are the block's own outputs where `base` is not, as something is added behind the
    block. Throws AssertionError for the first position that differs.
    """
    assert steered.shape == base.shape
    changed = 0
    for position, (before, after) in enumerate(zip(base, steered, strict=True)):
        wanted = np.zeros_like(before)
        here = [clamp for clamp in clamps if covers(clamp, position)]
        active = latents(sae, before if own is None else own[position]) if here else {}
        for clamp in here:
            now = active.get(clamp["feature"], 0.0)
            wanted += (target(clamp, 1.0, now) - now) * sae.w_dec[clamp["feature"]].double().numpy()
        size, error = np.linalg.norm(wanted), np.linalg.norm(after - before - wanted)
        assert error <= 1e-4 * size, f"At position {position} the state differs from the request by {error} of {size}."
        changed += bool(size > 0)
    return changed
