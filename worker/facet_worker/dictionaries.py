"""A dictionary as it is served: any of the usual activation functions, weights in any dtype, activations in float32."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.errors import FacetError
from facet_worker.sparse_decode import decode_fused, decode_in_blocks

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
    hook : where its own files say that it reads, in their tool's spelling
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
    hook: str | None = None
    _centre: Tensor | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.w_dec.ndim != 2:
            raise FacetError("The dictionary's W_dec is no matrix.", "file_invalid")
        latents, width = self.w_dec.shape
        vectors: dict[str, tuple[Tensor | None, set[int]]] = {
            "b_enc": (self.b_enc, {latents}),
            "b_dec": (self.b_dec, {width}),
            "threshold": (self.threshold, {latents, 1}),
            "r_mag": (self.r_mag, {latents}),
            "b_mag": (self.b_mag, {latents}),
        }
        wrong = [name for name, (part, sizes) in vectors.items() if part is not None and (part.ndim != 1 or len(part) not in sizes)]
        if tuple(self.w_enc.shape) != (latents, width) or wrong:
            shapes = {"W_enc": self.w_enc, "W_dec": self.w_dec, **{name: vectors[name][0] for name in wrong}}
            listed = ", ".join(f"{name} {list(part.shape)}" for name, part in shapes.items() if part is not None)
            raise FacetError(f"The dictionary's tensors do not fit each other: {listed}.", "file_invalid")
        needs: dict[str, list[Any]] = {
            "topk": [self.k],
            "relu": [],
            "jumprelu": [self.threshold],
            "batchtopk": [self.threshold],
            "gated": [self.r_mag, self.b_mag],
        }
        if self.activation not in needs:
            raise FacetError(
                f"The activation function {self.activation!r} is not served.",
                "format_unknown",
                fix=f"Serve a dictionary with one of {', '.join(needs)}.",
            )
        if any(part is None for part in needs[self.activation]):
            raise FacetError(f"The dictionary lacks what its activation function {self.activation} needs.", "file_invalid")
        if self.activation == "topk" and not 1 <= (self.k or 0) <= latents:
            raise FacetError(f"k = {self.k} is not between 1 and the number of latents, {latents}.", "file_invalid")

    @property
    def num_latents(self) -> int:
        return int(self.w_dec.shape[0])

    @property
    def width(self) -> int:
        return int(self.w_dec.shape[1])

    def _wide_product(self, x: Tensor) -> Tensor:
        """W_enc x in float32 [R, L], a block of latents at a time in float32."""
        step = max(1, _CHUNK_BYTES // (4 * self.width))
        return torch.cat([F.linear(x, rows.float()) for rows in self.w_enc.split(step)], -1)

    def _product(self, x: Tensor) -> Tensor:
        """W_enc (x − b_dec), or W_enc x, in float32 [R, L] whatever the weights' dtype."""
        if self.w_enc.is_cuda and self.w_enc.dtype != torch.float32:
            # A state of the model's own dtype enters exactly; centred it would be rounded. So b_dec's share is taken off behind the product.
            product: Tensor = torch.mm(x.to(self.w_enc.dtype), self.w_enc.T, out_dtype=torch.float32)
            if not self.subtract_b_dec:
                return product
            if self._centre is None:
                self._centre = self._wide_product(self.b_dec.float()[None])
            return product.sub_(self._centre)
        wide = x.float() - self.b_dec.float() if self.subtract_b_dec else x.float()
        return F.linear(wide, self.w_enc) if self.w_enc.dtype == torch.float32 else self._wide_product(wide)

    def _active(self, x: Tensor) -> Tensor:
        """Activations before any TopK, float32 [R, L]."""
        product = self._product(x)
        if self.activation == "gated" and self.r_mag is not None and self.b_mag is not None:
            opened = product + self.b_enc.float() > 0
            return product.mul_(self.r_mag.float().exp()).add_(self.b_mag.float()).relu_().mul_(opened)
        pre = product.add_(self.b_enc.float())
        if self.threshold is not None and self.activation in ("jumprelu", "batchtopk"):
            # Strictly above: what equals its threshold is off.
            pre.mul_(pre > self.threshold.float())
        return pre.relu_()

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        active = self._active(x)
        k = self.k if self.activation == "topk" and self.k else max(1, int((active > 0).sum(-1).max()))
        values, indices = active.topk(k, dim=-1, sorted=True)
        return indices, values

    def _blocks(self, rows: int, row_bytes: int) -> list[slice]:
        step = max(1, _CHUNK_BYTES // row_bytes)
        return [slice(i, i + step) for i in range(0, rows, step)]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of hidden states [R, D]: indices int64 and values float32 [R, n], descending; 0 where fewer are active.

        Takes memory for a few hundred rows at a time, however many are given.
        """
        if not len(x):
            return torch.zeros(0, 1, dtype=torch.long, device=x.device), torch.zeros(0, 1, device=x.device)
        parts = [self._encode(x[rows]) for rows in self._blocks(len(x), 4 * self.num_latents)]
        if len(parts) == 1:
            return parts[0]
        most = max(indices.shape[1] for indices, _ in parts)
        padded = [[F.pad(part, (0, most - part.shape[1])) for part in pair] for pair in parts]
        return torch.cat([indices for indices, _ in padded]), torch.cat([values for _, values in padded])

    def decode(self, indices: Tensor, values: Tensor) -> Tensor:
        """Σ aᵢ W_dec[i] + b_dec, float32 [R, D], from latents [R, n]."""
        b_dec = self.b_dec.float()
        if self.w_dec.dtype == torch.float32:
            return F.embedding_bag(indices, self.w_dec, per_sample_weights=values.float(), mode="sum") + b_dec
        fused = decode_fused(indices, values, self.w_dec) if self.w_dec.is_cuda else None
        out = decode_in_blocks(indices, values, self.w_dec, _CHUNK_BYTES) if fused is None else fused
        return out + b_dec

    def to(self, device: str | torch.device, dtype: torch.dtype) -> Dictionary:
        """The same with its matrices in another place and dtype; vectors stay float32."""
        self._centre = None
        self.w_enc, self.w_dec = self.w_enc.to(device, dtype), self.w_dec.to(device, dtype)
        self.b_enc, self.b_dec = self.b_enc.float().to(device), self.b_dec.float().to(device)
        for name in ("threshold", "r_mag", "b_mag"):
            part = getattr(self, name)
            if part is not None:
                setattr(self, name, part.float().to(device))
        return self
