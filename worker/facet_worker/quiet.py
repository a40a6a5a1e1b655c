"""Whether features are surely inactive at a state, from a few of the encoder's rows: spares reading all of it for each token.

A latent of a TopK is off where its pre-activation is below zero, or below k others; which others is guessed from what was active lately, and a
wrong guess only means that the encoder runs. So every answer is the encoder's own, up to what float32 sums can be wrong by, which is left as a margin.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.dictionaries import Dictionary

# Of ‖x‖·‖w‖: far beyond the rounding of a float32 sum of some thousand products.
_MARGIN = 1e-5
_RECENT = 4


class Quiet:
    """For some features [F] of one arm. Worth it where memory is slow: on a processor, not on a GPU.

    By the calls that the model itself makes, and numbers of Python: between two of its passes a call of any other kind, which the processor's caches
    have lost by then, costs some ten times what it computes.
    """

    def __init__(self, sae: Dictionary, features: Tensor) -> None:
        self.sae = sae
        self.centre = sae.b_dec.float() if sae.subtract_b_dec else torch.zeros(sae.w_enc.shape[1])
        self.away = float(self.centre.norm())
        own, self.longest = self._rows(features)
        if sae.threshold is not None and sae.activation in ("jumprelu", "batchtopk"):
            floor = sae.threshold.float()
            own = (own[0], own[1] - (floor[features] if len(floor) > 1 else floor))
        self.asked = len(features)
        self.own = self.table = own
        self.shift = float(own[1].abs().max())
        self.recent: list[Tensor] = []

    def _rows(self, features: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
        """Rows and biases of the encoder, what is taken from the state folded into the latter, and the longest row's length."""
        rows = self.sae.w_enc[features].float()
        bias = self.sae.b_enc[features].float() - rows @ self.centre
        return (rows, bias), float(rows.norm(dim=-1).max()) if len(rows) else 0.0

    def surely(self, state: Tensor) -> bool:
        """Whether all of the features are inactive at a hidden state, float32 [1, D]."""
        rows, bias = self.table
        pre: list[float] = F.linear(state, rows, bias)[0].tolist()
        doubt = _MARGIN * (self.longest * (math.sqrt(F.linear(state, state).item()) + self.away) + self.shift)
        # A state or a row that is not a number makes the doubt none, which nothing is below or above: the encoder runs.
        top = max(pre[: self.asked])
        if top <= -doubt:
            return True
        above = top + 2 * doubt
        return len(pre) > self.asked and sum(each > above for each in pre[self.asked :]) >= (self.sae.k or 0)

    def learn(self, indices: Tensor) -> None:
        """Takes note of the latents [n] that the encoder found active."""
        if self.sae.activation == "topk":
            self.recent = [*self.recent[1 - _RECENT :], indices]
            (rows, bias), longest = self._rows(torch.unique(torch.cat(self.recent)))
            self.longest, self.shift = max(self.longest, longest), max(self.shift, float(bias.abs().max()) if len(bias) else 0.0)
            self.table = torch.cat([self.own[0], rows]), torch.cat([self.own[1], bias])
