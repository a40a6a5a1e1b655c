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
# How many latents are compared with, in multiples of k, and what an encoded token's weighs by the next one.
_COMPARED, _KEPT = 5, 0.97
# After so many encoded tokens running with one of the features active, the next is encoded unasked.
_BUSY = 4


class Quiet:
    """For some features [F] of one arm. Worth it where memory is slow: on a processor, not on a GPU.

    By two calls that the model itself makes, and numbers of Python: between two of its passes a call of any other kind, which the processor's caches
    have lost by then, costs some ten times what it computes.
    """

    def __init__(self, sae: Dictionary, features: Tensor) -> None:
        self.sae, self.features = sae, features
        self.centre = sae.b_dec.float() if sae.subtract_b_dec else torch.zeros(sae.w_enc.shape[1])
        self.away = float(self.centre.norm())
        rows, bias = self._rows(features)
        if sae.threshold is not None and sae.activation in ("jumprelu", "batchtopk"):
            floor = sae.threshold.float()
            bias = bias - (floor[features] if len(floor) > 1 else floor)
        self.asked = len(features)
        self.own = rows, bias
        self.weights: Tensor | None = None
        self.busy = 0
        self._compare(rows[:0], bias[:0])

    def _rows(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and biases of the encoder, what is taken from the state folded into the latter."""
        rows = self.sae.w_enc[features].float()
        return rows, self.sae.b_enc[features].float() - rows @ self.centre

    def _compare(self, rows: Tensor, bias: Tensor) -> None:
        """Makes the table: the features' own rows, those that they are compared with, and room for the state, whose length comes out of the same product."""
        self.table = torch.cat([self.own[0], rows, torch.zeros(1, rows.shape[1])])
        self.bias = torch.cat([self.own[1], bias, torch.zeros(1)])
        self.state = self.table[-1:][None]
        longest = float(self.table.norm(dim=-1).max())
        self.scale, self.shift = _MARGIN * longest, _MARGIN * (longest * self.away + float(self.bias.abs().max()))

    def surely(self, state: Tensor) -> bool:
        """Whether all of the features are inactive at a hidden state, float32 [1, 1, D]."""
        if self.busy >= _BUSY:
            return False
        self.state.copy_(state)
        pre: list[float] = F.linear(state, self.table, self.bias).tolist()[0][0]
        doubt = self.scale * math.sqrt(pre.pop()) + self.shift
        # A state or a row that is not a number makes the doubt none, which nothing is below or above: the encoder runs.
        top = max(pre[: self.asked])
        if top <= -doubt:
            return True
        above = top + 2 * doubt
        return len(pre) > self.asked and len([each for each in pre if each > above]) >= (self.sae.k or 0)

    def learn(self, indices: Tensor) -> None:
        """Takes note of the latents [n] that the encoder found active; where none is one of the features, others are to be compared with."""
        self.busy = self.busy + 1 if bool((indices[:, None] == self.features).any()) else 0
        if self.busy or self.sae.activation != "topk" or not len(indices):
            return
        if self.weights is None:
            self.weights = torch.zeros(self.sae.num_latents)
        self.weights.mul_(_KEPT)[indices] += 1
        compared = self.weights.topk(min(_COMPARED * (self.sae.k or 0), int((self.weights > 0).sum())), sorted=False).indices
        self._compare(*self._rows(compared))
