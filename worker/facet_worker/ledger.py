"""What an arm did, counted by comparing bit by bit what the blocks above the hook were given with what they would have been given without clamps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facet_worker.clamping import ClampedRows
from facet_worker.dictionaries import Dictionary
from facet_worker.planning import KINDS, ClampPlan


class _Tally:
    def __init__(self, feature: int) -> None:
        self.feature = feature
        self.planned = dict.fromkeys(KINDS, 0)
        self.changed = dict.fromkeys(KINDS, 0)
        self.before = self.after = self.found = 0.0
        self.asked = 0
        self.states: list[Tensor] = []

    def counts(self) -> dict[str, dict[str, int]]:
        return {kind: {"planned": self.planned[kind], "changed": self.changed[kind]} for kind in KINDS}

    @property
    def positions(self) -> int:
        return sum(self.planned.values())


class Ledger:
    """Counts one arm's passes through the hook."""

    def __init__(self, plan: ClampPlan, arm: str, mode: str) -> None:
        self.plan, self.arm, self.mode = plan, arm, mode
        self.tallies = [_Tally(clamp.feature) for clamp in plan.clamps]
        self.total = _Tally(-1)
        self.norms = 0.0

    def _kinds(self, first: int, rows: int) -> Tensor:
        """0 image, 1 prompt, 2 generated, for each row."""
        if first >= self.plan.layout.length:
            return torch.full((rows,), 2)
        return torch.where(torch.from_numpy(self.plan.layout.image)[first : first + rows], 0, 1)

    def record(self, slab: ClampedRows, given: Tensor, reference: Tensor, hidden: Tensor, first: int) -> None:
        """Counts one pass: `given`, `reference` and `hidden` [R, D] in the model's dtype, `first` the position of row 0."""
        if not slab.changes:
            return
        covered = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        for change in slab.changes:
            covered[change.rows] = True
        difference = given.float() - reference.float()
        moved = (difference != 0).any(-1)
        kinds = self._kinds(first, len(hidden)).to(hidden.device)
        for at, kind in enumerate(KINDS):
            here = covered & (kinds == at)
            self.total.planned[kind] += int(here.sum())
            self.total.changed[kind] += int((here & moved).sum())
        both = covered & moved
        self.norms += float((difference[both].double().norm(dim=-1) / hidden[both].double().norm(dim=-1)).sum())
        for change in slab.changes:
            tally, rows = self.tallies[change.clamp], change.rows
            tally.feature = change.feature
            tally.before += float(change.before.double().sum())
            tally.after += float((change.before + change.difference).double().sum())
            real = change.difference != 0
            tally.asked += int(real.sum())
            for at, kind in enumerate(KINDS):
                here = kinds[rows] == at
                tally.planned[kind] += int(here.sum())
                tally.changed[kind] += int((here & moved[rows] & real).sum())
            again = moved[rows] if self.mode == "delta" else torch.ones_like(moved[rows])
            tally.found += float(change.before[~again].double().sum())
            if bool(again.any()):
                tally.states.append(given[rows[again]].float())

    def unapplied(self) -> int | None:
        """The first clamp that covered no position at all; None when each covered some."""
        return next((i for i, tally in enumerate(self.tallies) if tally.positions == 0), None)

    def receipt(self, sae: Dictionary) -> dict[str, Any]:
        """The part of a receipt that the ledger knows; encodes the changed states again for it."""
        counts = self.total.counts()
        changed = sum(self.total.changed.values())
        control = self.arm if self.arm in ("baseline", "reconstruction") else None
        outcome = control or ("steered" if changed else "unchanged")
        return {
            "outcome": outcome,
            "reason": self._reason() if outcome == "unchanged" else None,
            "clamps": [self._clamp(i, tally, sae) for i, tally in enumerate(self.tallies)],
            "prefill": {"image": counts["image"], "text": counts["prompt"]},
            "decode": counts["generated"],
            "relativeNorm": self.norms / changed if changed else None,
        }

    def _clamp(self, index: int, tally: _Tally, sae: Dictionary) -> dict[str, Any]:
        planned = self.plan.clamps[index]
        found = tally.found
        if tally.states:
            indices, values = sae.encode(torch.cat(tally.states))
            found += float(torch.where(indices == tally.feature, values, 0.0).double().sum())
        n = max(tally.positions, 1)
        asked = {name: planned.intervention[name] for name in ("op", "value", "unit", "scope")}
        means = {"meanBefore": tally.before / n, "meanAfter": tally.after / n, "meanReencoded": found / n if tally.positions else None}
        return {"feature": tally.feature, **asked, "unitActivation": planned.unit, **tally.counts(), **means}

    def _reason(self) -> str:
        if not self.tallies:
            if self.mode == "reconstruct":
                return "no clamp was given; only the dictionary's reconstruction acts"
            return "no clamp was given"
        if any(tally.asked for tally in self.tallies):
            return "the changes asked for did not alter the hidden state"
        if not any(tally.positions for tally in self.tallies):
            return "the answer ended before a generated token passed through the hook"
        only = self.tallies[0]
        if len(self.tallies) > 1:
            return "every clamp asks for the activation that is already there"
        n = only.positions
        where = "the position that the clamp covers" if n == 1 else f"all {n} positions that the clamp covers"
        op = self.plan.clamps[0].intervention["op"]
        if only.before == 0 and op in ("ablate", "scale"):
            return f"feature {only.feature} is inactive at {where}, so there is nothing to {op}"
        return f"feature {only.feature} already has the requested activation at {where}"
