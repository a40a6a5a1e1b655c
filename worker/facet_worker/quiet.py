"""Whether features are surely inactive at a state, from a few of the encoder's rows: spares reading all of it for each token.

A latent of a TopK is off where its pre-activation is below zero, or below k others; which others is guessed from what was active lately, and a
wrong guess only means that the encoder runs. So every answer is the encoder's own, up to what float32 sums can be wrong by, which is left as a margin.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.dictionaries import Dictionary

# Of ‖x‖·‖w‖: far beyond the rounding of a float32 sum of some thousand products.
_MARGIN = 1e-5
_RECENT = 4


class Quiet:
    """For some features [F] of one arm. Worth it where memory is slow: on a processor, not on a GPU."""

    def __init__(self, sae: Dictionary, features: Tensor) -> None:
        self.sae = sae
        self.floor = sae.threshold.float() if sae.threshold is not None and sae.activation in ("jumprelu", "batchtopk") else None
        if self.floor is not None and len(self.floor) > 1:
            self.floor = self.floor[features]
        self.rows, self.bias, self.lengths = self._rows(features)
        self.least = None if self.floor is None else self.floor.numpy()
        self.longest = self.lengths.max()
        self.centre = sae.b_dec.float() if sae.subtract_b_dec else None
        self.recent: list[Tensor] = []
        self.others: tuple[Tensor, Tensor, npt.NDArray[np.float32]] | None = None

    def _rows(self, features: Tensor) -> tuple[Tensor, Tensor, npt.NDArray[np.float32]]:
        rows = self.sae.w_enc[features].float()
        return rows, self.sae.b_enc[features].float(), rows.norm(dim=-1).numpy()

    def surely(self, state: Tensor) -> bool:
        """Whether all of the features are inactive at a hidden state [1, D], float32."""
        x = state[0] if self.centre is None else state[0] - self.centre
        # Few numbers: a call into PyTorch costs more than what it computes.
        numbers = x.numpy()
        doubt = _MARGIN * math.sqrt(numbers.dot(numbers))
        margin = doubt * self.lengths
        pre = torch.addmv(self.bias, self.rows, x).numpy()
        open_ = pre > (-margin if self.least is None else self.least - margin)
        if not open_.any():
            return True
        if self.sae.activation != "topk" or self.others is None:
            return False
        rows, bias, lengths = self.others
        above = torch.addmv(bias, rows, x).numpy() > pre[open_].max() + doubt * (self.longest + lengths)
        return int(np.count_nonzero(above)) >= (self.sae.k or 0)

    def learn(self, indices: Tensor) -> None:
        """Takes note of the latents [n] that the encoder found active."""
        if self.sae.activation == "topk":
            self.recent = [*self.recent[1 - _RECENT :], indices]
            self.others = self._rows(torch.unique(torch.cat(self.recent)))
