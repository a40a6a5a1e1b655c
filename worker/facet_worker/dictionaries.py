"""A dictionary as it is served: any of the usual activation functions, weights in any dtype, activations in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.errors import FacetError
from facet_worker.sae import WEIGHTS_FILE, TopKSae, file_sha256

_CHUNK_BYTES = 1 << 28


@dataclass
class Dictionary:
    """One sparse autoencoder. L latents, D width.

    Attributes
    ----------
    w_enc, w_dec : [L, D]
    b_enc : [L]
    b_dec : [D]
    activation : `topk` (the `k` largest a token), `relu`, `jumprelu` and `batchtopk` (above `threshold` [L] or [1]; a trained BatchTopK is
        served by its threshold, so that a token's latents do not depend on what else is in the batch), `gated` (`b_enc` gates, magnitudes are
        exp(`r_mag`) · W_enc x + `b_mag`)
    subtract_b_dec : whether the encoder sees x − b_dec
    """

    w_enc: Tensor
    b_enc: Tensor
    w_dec: Tensor
    b_dec: Tensor
    activation: str = "topk"
    k: int | None = None
    threshold: Tensor | None = None
    r_mag: Tensor | None = None
    b_mag: Tensor | None = None
    subtract_b_dec: bool = True
    sha256: str = "0" * 64

    def __post_init__(self) -> None:
        latents, width = self.w_dec.shape
        if tuple(self.w_enc.shape) != (latents, width) or tuple(self.b_enc.shape) != (latents,) or tuple(self.b_dec.shape) != (width,):
            raise FacetError("The dictionary's tensors do not fit each other.", "file_invalid")
        needs: dict[str, list[Any]] = {
            "topk": [self.k],
            "relu": [],
            "jumprelu": [self.threshold],
            "batchtopk": [self.threshold],
            "gated": [self.r_mag, self.b_mag],
        }
        if self.activation not in needs:
            raise FacetError(f"The activation function {self.activation!r} is not known.", "format_unknown")
        if any(part is None for part in needs[self.activation]):
            raise FacetError(f"The dictionary lacks what its activation function {self.activation} needs.", "file_invalid")

    @property
    def num_latents(self) -> int:
        return int(self.w_dec.shape[0])

    @property
    def width(self) -> int:
        return int(self.w_dec.shape[1])

    def _active(self, x: Tensor) -> Tensor:
        centred = x.float() - self.b_dec.float() if self.subtract_b_dec else x.float()
        product = F.linear(centred.to(self.w_enc.dtype), self.w_enc).float()
        pre = product + self.b_enc.float()
        if self.threshold is not None and self.activation in ("jumprelu", "batchtopk"):
            return torch.where(pre > self.threshold.float(), pre, 0.0).relu()
        if self.activation == "gated" and self.r_mag is not None and self.b_mag is not None:
            return (pre > 0) * F.relu(product * self.r_mag.float().exp() + self.b_mag.float())
        return pre.relu()

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        active = self._active(x)
        k = self.k if self.activation == "topk" and self.k else max(1, int((active > 0).sum(-1).max()))
        values, indices = active.topk(k, dim=-1, sorted=True)
        return indices, values

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of hidden states [R, D]: indices int64 and values float32 [R, n], descending; 0 where fewer are active."""
        if not len(x):
            return torch.zeros(0, 1, dtype=torch.long, device=x.device), torch.zeros(0, 1, device=x.device)
        step = max(1, _CHUNK_BYTES // (4 * self.num_latents))
        parts = [self._encode(x[i : i + step]) for i in range(0, len(x), step)]
        most = max(indices.shape[1] for indices, _ in parts)
        padded = [[F.pad(part, (0, most - part.shape[1])) for part in pair] for pair in parts]
        return torch.cat([indices for indices, _ in padded]), torch.cat([values for _, values in padded])

    def decode(self, indices: Tensor, values: Tensor) -> Tensor:
        """Σ aᵢ W_dec[i] + b_dec, float32 [R, D], from latents [R, n]."""
        out = torch.zeros(len(indices), self.width, device=values.device)
        for i in range(indices.shape[1]):
            out += values[:, i, None] * self.w_dec[indices[:, i]].float()
        return out + self.b_dec.float()

    def to(self, device: str | torch.device, dtype: torch.dtype) -> Dictionary:
        """The same with its matrices in another place and dtype; vectors stay float32."""
        self.w_enc, self.w_dec = self.w_enc.to(device, dtype), self.w_dec.to(device, dtype)
        self.b_enc, self.b_dec = self.b_enc.float().to(device), self.b_dec.float().to(device)
        for name in ("threshold", "r_mag", "b_mag"):
            part = getattr(self, name)
            if part is not None:
                setattr(self, name, part.float().to(device))
        return self

    def unexplained(self, hidden: Tensor) -> float:
        """Fraction of variance unexplained over hidden states [R, D]: what tells a wrongly read dictionary, whoever loaded it."""
        x = hidden.float()
        error = (x - self.decode(*self.encode(x))).square().sum()
        return float(error / (x - x.mean(0)).square().sum())


def load_dictionary(folder: Path) -> Dictionary:
    """Read the layout of sparsify and the paper (`cfg.json`, `sae.safetensors`). Throws `file_invalid`."""
    try:
        sae = TopKSae.load(folder)
    except FacetError as error:
        raise FacetError(str(error), "file_invalid") from error
    return Dictionary(sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec, "topk", sae.k, sha256=file_sha256(folder / WEIGHTS_FILE))
