"""An arm's clamps on generated tokens: one state at a time, so all of them as a few operations on small vectors and without a look at any value.

The same arithmetic as clamping.py in mode `delta`; a loop over clamps there, and its counts, would take a tenth of a token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facet_worker.clamping import Variant
from facet_worker.dictionaries import Dictionary
from facet_worker.planning import ClampPlan
from facet_worker.quiet import Quiet

Codes = tuple[Tensor, Tensor]
"""Latents of one hidden state: indices and values, [1, n]."""


@dataclass
class TokenChange:
    """At one state: activations of the written features before, and what is added to them (float32 [C]), in the order of `TokenClamps.clamps`."""

    before: Tensor
    difference: Tensor
    delta: Tensor


def inactive(_rows: Tensor) -> Codes:
    """The latents of a state at which every feature that is asked about is off."""
    return torch.full((1, 1), -1), torch.zeros(1, 1)


class TokenClamps:
    """The clamps of a plan that cover generated tokens, C of them.

    Attributes
    ----------
    clamps : their indices in the plan, in the order of the features that they write, which is that of the sum
    written : int64 [C], the features whose rows are added: the clamped ones, or their substitutes
    at_rest : what they ask for where every feature is inactive, which is always the same
    """

    def __init__(self, plan: ClampPlan, variant: Variant, sae: Dictionary) -> None:
        write = {i: variant.substitutes[i] if variant.kind == "random" else plan.clamps[i].feature for i in plan.generated}
        self.clamps = sorted(write, key=lambda i: (write[i], i))
        planned = [plan.clamps[i] for i in self.clamps]
        device = sae.w_dec.device
        self.kind = variant.kind
        self.read = torch.tensor([clamp.feature for clamp in planned], device=device)
        self.written = torch.tensor([write[i] for i in self.clamps], device=device)
        factors, amounts = [], []
        for clamp in planned:
            op, value = clamp.intervention["op"], clamp.intervention["value"]
            factors.append({"set": 0.0, "scale": float(np.float32(value)), "add": 1.0}.get(op, 0.0))
            amounts.append(float(np.float32(np.float32(value) * np.float32(clamp.unit))) if op in ("set", "add") else 0.0)
        self.factors, self.amounts = torch.tensor(factors, device=device), torch.tensor(amounts, device=device)
        self.read_column, self.written_column = self.read[:, None], self.written[:, None]
        self.rows = sae.w_dec[self.written].float()
        self.quiet = Quiet(sae, torch.unique(torch.cat([self.read, self.written]))) if device.type == "cpu" else None
        self.gain: Tensor | None = None
        if variant.kind == "random":
            self.gain = sae.w_dec[self.read].double().norm(dim=-1) / self.rows.double().norm(dim=-1)
        indices, values = inactive(self.read)
        self.at_rest = self.change((indices.to(device), values.to(device)))

    def _activations(self, codes: Codes, features: Tensor) -> Tensor:
        """Of features [C, 1], float32 [C]."""
        indices, values = codes
        return torch.where(indices == features, values, 0.0).sum(-1)

    def change(self, codes: Codes) -> TokenChange:
        """What the clamps ask for at a state with these latents."""
        now = self._activations(codes, self.read_column)
        asked = now * self.factors + self.amounts - now
        before = now
        if self.kind == "negated":
            asked = -asked
        elif self.gain is not None:
            before = self._activations(codes, self.written_column)
            asked = (asked.double() * self.gain).float()
        return TokenChange(before, asked, asked @ self.rows)
