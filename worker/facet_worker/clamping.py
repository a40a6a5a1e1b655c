"""Adding clamps to hidden states in PyTorch, equal to lib/core/clamp-arithmetic.mjs.

Mode `delta`: h' = h + Σ_f (v_f − a_f(h)) · W_dec[f]. Mode `reconstruct`: h' = Σ_i a'_i W_dec[i] + b_dec, where a' are the latents with the clamped
ones replaced. All in float32 whatever the model's dtype, and independent of the order in which clamps are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.planning import PlannedClamp


@dataclass(frozen=True)
class Variant:
    """What an arm makes of the clamps: `asked`, `negated`, or `random` (along each substitute's decoder row at equal norm)."""

    kind: str = "asked"
    substitutes: tuple[int, ...] = ()


@dataclass
class Changes:
    """One clamp at the rows [n] that it covers: activations of the written feature before, and what is added to them (float32)."""

    clamp: int
    feature: int
    rows: Tensor
    before: Tensor
    difference: Tensor


@dataclass
class ClampedRows:
    """`output` float32 [R, D] is what the blocks above are given, `reference` the same without clamps."""

    output: Tensor
    reference: Tensor
    changes: list[Changes]


def target_activation(op: str, value: float, unit: float, activation: Tensor) -> Tensor:
    """What a clamp asks for where the feature's activation is `activation` (float32, any shape)."""
    factor = float(np.float32(value))
    amount = float(np.float32(np.float32(value) * np.float32(unit)))
    if op == "set":
        return torch.full_like(activation, amount)
    if op == "scale":
        return activation * factor
    if op == "add":
        return activation + amount
    return torch.zeros_like(activation)


def _activation(codes: tuple[Tensor, Tensor], feature: int) -> Tensor:
    indices, values = codes
    return torch.where(indices == feature, values, 0.0).sum(-1)


def _changes(
    clamps: Sequence[PlannedClamp],
    which: Sequence[int],
    rows: Sequence[Tensor],
    variant: Variant,
    codes: tuple[Tensor, Tensor],
    sae: Dictionary,
) -> list[Changes]:
    made = []
    for index, at in zip(which, rows, strict=True):
        clamp, feature = clamps[index], clamps[index].feature
        here = (codes[0][at], codes[1][at])
        now = _activation(here, feature)
        asked = target_activation(clamp.intervention["op"], clamp.intervention["value"], clamp.unit, now) - now
        if variant.kind == "negated":
            made.append(Changes(index, feature, at, now, -asked))
        elif variant.kind == "random":
            other = variant.substitutes[index]
            gain = float(sae.w_dec[feature].double().norm() / sae.w_dec[other].double().norm())
            made.append(Changes(index, other, at, _activation(here, other), (asked.double() * gain).float()))
        else:
            made.append(Changes(index, feature, at, now, asked))
    # The order of the sum is the features', not the request's.
    return sorted(made, key=lambda change: (change.feature, change.clamp))


def _clamped_codes(codes: tuple[Tensor, Tensor], changes: list[Changes], k: int | None) -> tuple[Tensor, Tensor]:
    """The latents after the clamps, at most k of them: an absent clamped latent displaces the weakest unclamped one, and a clamp is always kept."""
    indices, values = codes
    kept = values != 0
    ours = torch.zeros_like(kept)
    after = values.clone()
    more_indices, more_values = [], []
    for change in changes:
        there = kept[change.rows] & (indices[change.rows] == change.feature)
        real = change.difference != 0
        new = change.before + change.difference
        hit = there & real[:, None]
        after[change.rows] = torch.where(hit, new[:, None], after[change.rows])
        ours[change.rows] |= hit
        extra = torch.zeros(len(indices), device=values.device)
        extra[change.rows] = torch.where(real & ~there.any(-1), new, 0.0)
        more_indices.append(torch.full_like(indices[:, 0], change.feature))
        more_values.append(extra)
    added = torch.stack(more_values, -1)
    if k is not None:
        surplus = kept.sum(-1) + (added != 0).sum(-1) - k
        free = kept & ~ours
        from_the_end = free.flip(-1).cumsum(-1).flip(-1)
        after = torch.where(free & (from_the_end <= surplus[:, None]), 0.0, after)
    return torch.cat([indices, torch.stack(more_indices, -1)], -1), torch.cat([after, added], -1)


def clamp_rows(
    mode: str,
    clamps: Sequence[PlannedClamp],
    which: Sequence[int],
    rows: Sequence[Tensor],
    variant: Variant,
    sae: Dictionary,
    hidden: Tensor,
    encode: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
) -> ClampedRows:
    """Applies clamps to some rows of hidden states.

    Parameters
    ----------
    mode : `delta`, or `reconstruct` (the dictionary's output replaces every row)
    which : indices of the clamps that act here
    rows : for each of these int64 [n], the rows of `hidden` that it covers
    hidden : float32 [R, D]; not written to
    encode : latents of the rows of `hidden` with these indices, where they are known already
    """
    encode = encode or (lambda at: sae.encode(hidden[at]))
    if mode == "delta":
        if not which:
            return ClampedRows(hidden, hidden, [])
        coded = torch.unique(torch.cat(list(rows)))
        place = torch.full((len(hidden),), -1, dtype=torch.long, device=hidden.device)
        place[coded] = torch.arange(len(coded), device=hidden.device)
        changes = _changes(clamps, which, [place[at] for at in rows], variant, encode(coded), sae)
        delta = torch.zeros(len(coded), hidden.shape[1], device=hidden.device)
        for change in changes:
            delta[change.rows] += change.difference[:, None] * sae.w_dec[change.feature].float()
            change.rows = coded[change.rows]
        output = hidden.clone()
        output[coded] = hidden[coded] + delta
        return ClampedRows(output, hidden, changes)
    codes = encode(torch.arange(len(hidden), device=hidden.device))
    reference = sae.decode(*codes)
    changes = _changes(clamps, which, rows, variant, codes, sae)
    if not changes:
        return ClampedRows(reference.clone(), reference, [])
    moved = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
    for change in changes:
        moved[change.rows] |= change.difference != 0
    rebuilt = sae.decode(*_clamped_codes(codes, changes, sae.k))
    return ClampedRows(torch.where(moved[:, None], rebuilt, reference), reference, changes)
