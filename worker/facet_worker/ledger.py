"""What an arm did, counted by comparing bit by bit what the blocks above the hook were given with what they would have been given without clamps.

While an arm runs its counts stay where the model computes; only the receipt brings them together, so that no token waits for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from facet_worker.clamping import ClampedRows
from facet_worker.dictionaries import Dictionary
from facet_worker.planning import KINDS, ClampPlan
from facet_worker.token_clamps import TokenChange, TokenClamps


class _Tally:
    def __init__(self, feature: int) -> None:
        self.feature = feature
        self.planned = dict.fromkeys(KINDS, 0)
        self.changed = dict.fromkeys(KINDS, 0)
        self.before = self.after = self.found = 0.0
        self.asked = 0

    def counts(self) -> dict[str, dict[str, int]]:
        return {kind: {"planned": self.planned[kind], "changed": self.changed[kind]} for kind in KINDS}

    @property
    def positions(self) -> int:
        return sum(self.planned.values())


@dataclass
class _Token:
    """One generated token's pass, uncounted; `given` and `hidden` are one state each, of any shape."""

    change: TokenChange
    given: Tensor
    hidden: Tensor


@dataclass
class _Again:
    """Changed states [n, D] that the receipt encodes again, and of each clamp which of them it covers."""

    states: Tensor
    covers: list[tuple[int, Tensor]]


class Ledger:
    """Counts one arm's passes through the hook."""

    def __init__(self, plan: ClampPlan, arm: str, mode: str) -> None:
        self.plan, self.arm, self.mode = plan, arm, mode
        self.tallies = [_Tally(clamp.feature) for clamp in plan.clamps]
        self.total = _Tally(-1)
        self.norms = 0.0
        self.clamps: TokenClamps | None = None
        self.tokens: list[_Token] = []
        self.again: list[_Again] = []

    def _kinds(self, first: int, rows: int) -> Tensor:
        """0 image, 1 prompt, 2 generated, for each row."""
        if first >= self.plan.layout.length:
            return torch.full((rows,), 2)
        return torch.where(torch.from_numpy(self.plan.layout.image)[first : first + rows], 0, 1)

    def record_token(self, clamps: TokenClamps, change: TokenChange, given: Tensor, hidden: Tensor) -> None:
        """Counts a generated token's pass: `given` and `hidden`, a state each, in the model's dtype."""
        self.clamps = clamps
        self.tokens.append(_Token(change, given, hidden))

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
        both = covered & moved
        shares = difference[both].double().norm(dim=-1) / hidden[both].double().norm(dim=-1)
        counts = [here.sum() for at in range(len(KINDS)) for here in (covered & (kinds == at), both & (kinds == at))]
        _count(self.total, torch.stack(counts).tolist())
        self.norms += float(shares.sum())
        encoded = both if self.mode == "delta" else covered
        place = encoded.cumsum(0) - 1
        covers = []
        for change in slab.changes:
            tally, rows = self.tallies[change.clamp], change.rows
            tally.feature = change.feature
            real, again, before = change.difference != 0, encoded[rows], change.before.double()
            sums = [before.sum(), (change.before + change.difference).double().sum(), before[~again].sum()]
            counts = [here.sum() for at in range(len(KINDS)) for here in (kinds[rows] == at, (kinds[rows] == at) & moved[rows] & real)]
            *numbers, asked = torch.stack([*counts, real.sum()]).tolist()
            _count(tally, numbers)
            tally.asked += asked
            for name, value in zip(("before", "after", "found"), torch.stack(sums).tolist(), strict=True):
                setattr(tally, name, getattr(tally, name) + value)
            covers.append((change.clamp, place[rows[again]]))
        self.again.append(_Again(given[encoded], covers))

    def settle(self) -> None:
        """Brings the tokens' counts together; asked for before anything that they decide."""
        if not self.tokens or self.clamps is None:
            return
        tokens, order = self.tokens, self.clamps.clamps
        self.tokens = []
        given, hidden = (
            torch.stack([state.reshape(-1) for state in states]) for states in zip(*((t.given, t.hidden) for t in tokens), strict=True)
        )
        added = given.float() - hidden.float()
        moved = (added != 0).any(-1)
        shares = added.double().norm(dim=-1) / hidden.double().norm(dim=-1)
        before = torch.stack([token.change.before for token in tokens])
        difference = torch.stack([token.change.difference for token in tokens])
        real = difference != 0
        kind = KINDS[2]
        self.total.planned[kind] += len(tokens)
        self.total.changed[kind] += int(moved.sum())
        self.norms += float(shares[moved].sum())
        wide, features = before.double(), self.clamps.written.tolist()
        columns = torch.stack(
            [
                (moved[:, None] & real).sum(0).double(),
                real.sum(0).double(),
                wide.sum(0),
                (before + difference).double().sum(0),
                (wide * ~moved[:, None]).sum(0),
            ]
        ).tolist()
        for at, clamp in enumerate(order):
            tally = self.tallies[clamp]
            tally.feature = features[at]
            tally.planned[kind] += len(tokens)
            tally.changed[kind] += int(columns[0][at])
            tally.asked += int(columns[1][at])
            tally.before += columns[2][at]
            tally.after += columns[3][at]
            tally.found += columns[4][at]
        if bool(moved.any()):
            states = given[moved]
            every = torch.arange(len(states), device=states.device)
            self.again.append(_Again(states, [(clamp, every) for clamp in order]))

    def unapplied(self) -> int | None:
        """The first clamp that covered no position at all; None when each covered some."""
        self.settle()
        return next((i for i, tally in enumerate(self.tallies) if tally.positions == 0), None)

    def receipt(self, sae: Dictionary) -> dict[str, Any]:
        """The part of a receipt that the ledger knows; encodes the changed states again for it."""
        self.settle()
        self._encode_again(sae)
        counts = self.total.counts()
        changed = sum(self.total.changed.values())
        control = self.arm if self.arm in ("baseline", "reconstruction") else None
        outcome = control or ("steered" if changed else "unchanged")
        return {
            "outcome": outcome,
            "reason": self._reason() if outcome == "unchanged" else None,
            "clamps": [self._clamp(i, tally) for i, tally in enumerate(self.tallies)],
            "prefill": {"image": counts["image"], "text": counts["prompt"]},
            "decode": counts["generated"],
            "relativeNorm": self.norms / changed if changed else None,
        }

    def _encode_again(self, sae: Dictionary) -> None:
        passes, self.again = self.again, []
        for each in passes:
            if not len(each.states):
                continue
            indices, values = sae.encode(each.states.float())
            for clamp, rows in each.covers:
                tally = self.tallies[clamp]
                tally.found += float(torch.where(indices[rows] == tally.feature, values[rows], 0.0).double().sum())

    def _clamp(self, index: int, tally: _Tally) -> dict[str, Any]:
        planned = self.plan.clamps[index]
        n = max(tally.positions, 1)
        asked = {name: planned.intervention[name] for name in ("op", "value", "unit", "scope")}
        means = {
            "meanBefore": tally.before / n,
            "meanAfter": tally.after / n,
            "meanReencoded": tally.found / n if tally.positions else None,
        }
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


def _count(tally: _Tally, numbers: list[int]) -> None:
    """Planned and changed of each kind, in turn."""
    for at, kind in enumerate(KINDS):
        tally.planned[kind] += int(numbers[2 * at])
        tally.changed[kind] += int(numbers[2 * at + 1])
