"""The TopK sparse autoencoder in the paper's arithmetic and file layout.

`pre = ReLU(W_enc (x − b_dec) + b_enc)`, the `k` largest a token are kept, `x̂ = Σ aᵢ W_dec[i] + b_dec`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from facet_worker.errors import FacetError
from facet_worker.hashing import file_sha256

WEIGHTS_FILE = "sae.safetensors"
CONFIG_FILE = "cfg.json"
__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "TopKSae", "file_sha256"]


@dataclass
class TopKSae:
    """One dictionary. L latents, D width.

    Attributes
    ----------
    w_enc : float32 [L, D]
    b_enc : float32 [L]
    w_dec : float32 [L, D], rows of unit norm
    b_dec : float32 [D]
    k : how many latents a token keeps
    """

    w_enc: Tensor
    b_enc: Tensor
    w_dec: Tensor
    b_dec: Tensor
    k: int

    def __post_init__(self) -> None:
        latents, width = self.w_dec.shape
        shapes = (tuple(self.w_enc.shape), tuple(self.b_enc.shape), tuple(self.b_dec.shape))
        if shapes != ((latents, width), (latents,), (width,)):
            raise FacetError(
                f"The dictionary's tensors do not fit each other: encoder {shapes[0]}, bias {shapes[1]}, decoder {(latents, width)}, b_dec {shapes[2]}."
            )
        if not 1 <= self.k <= latents:
            raise FacetError(f"k = {self.k} is not between 1 and the number of latents, {latents}.")

    @property
    def num_latents(self) -> int:
        return self.w_dec.shape[0]

    @property
    def width(self) -> int:
        return self.w_dec.shape[1]

    def pre(self, x: Tensor) -> Tensor:
        """Activations before TopK, float32 [..., L], from hidden states [..., D]."""
        return F.relu(F.linear(x.float() - self.b_dec, self.w_enc, self.b_enc))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """TopK over the full width.

        Returns
        -------
        indices : int64 [..., k]
        values : float32 [..., k], descending; 0 where fewer than k are positive
        """
        values, indices = self.pre(x).topk(self.k, dim=-1, sorted=True)
        return indices, values

    def decode(self, indices: Tensor, values: Tensor) -> Tensor:
        """Σ aᵢ W_dec[i] + b_dec, float32 [..., D]."""
        lead = indices.shape[:-1]
        flat = F.embedding_bag(
            indices.reshape(-1, indices.shape[-1]), self.w_dec, per_sample_weights=values.reshape(-1, values.shape[-1]).float(), mode="sum"
        )
        return flat.view(*lead, self.width) + self.b_dec

    def reconstruct(self, x: Tensor) -> Tensor:
        """The SAE's output for hidden states [..., D]."""
        return self.decode(*self.encode(x))

    def activations(self, x: Tensor) -> Tensor:
        """Every feature's post-TopK activation, float32 [..., L]: exactly what `encode` keeps, ties included."""
        indices, values = self.encode(x)
        return torch.zeros(*x.shape[:-1], self.num_latents).scatter_(-1, indices, values)

    def activation_of(self, x: Tensor, features: Tensor) -> Tensor:
        """Post-TopK activations of some features, float32 [..., F], for hidden states [..., D]."""
        return self.activations(x)[..., features]

    def save(self, folder: Path) -> str:
        """Write `cfg.json` and `sae.safetensors` (float16); answers the weights' SHA-256."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"encoder.weight": self.w_enc, "encoder.bias": self.b_enc, "W_dec": self.w_dec, "b_dec": self.b_dec}
        save_file({name: t.detach().to(torch.float16).contiguous() for name, t in tensors.items()}, folder / WEIGHTS_FILE)
        config = {
            "expansion_factor": self.num_latents // self.width,
            "normalize_decoder": True,
            "num_latents": self.num_latents,
            "k": self.k,
            "multi_topk": False,
            "d_in": self.width,
        }
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
        return file_sha256(folder / WEIGHTS_FILE)

    @classmethod
    def load(cls, folder: Path) -> TopKSae:
        """Read the paper's layout; arithmetic is float32 whatever the stored dtype.

        Raises
        ------
        FacetError : when a file or a tensor is missing or does not fit the configuration.
        """
        try:
            config = json.loads((folder / CONFIG_FILE).read_text())
            tensors = load_file(folder / WEIGHTS_FILE)
            sae = cls(
                w_enc=tensors["encoder.weight"].float(),
                b_enc=tensors["encoder.bias"].float(),
                w_dec=tensors["W_dec"].float(),
                b_dec=tensors["b_dec"].float(),
                k=int(config["k"]),
            )
        except (OSError, KeyError) as error:
            raise FacetError(f"The folder {folder.name!r} holds no dictionary in the paper's layout: {error} is missing.") from error
        wanted = config.get("num_latents") or config["d_in"] * config["expansion_factor"]
        if (sae.num_latents, sae.width) != (wanted, config["d_in"]):
            raise FacetError(f"{CONFIG_FILE} says {wanted} × {config['d_in']} but the weights are {sae.num_latents} × {sae.width}.")
        return sae

    def rounded(self) -> TopKSae:
        """The same dictionary with its weights rounded to float16, as it is stored."""
        w_enc, b_enc, w_dec, b_dec = (t.half().float() for t in (self.w_enc, self.b_enc, self.w_dec, self.b_dec))
        return TopKSae(w_enc, b_enc, w_dec, b_dec, self.k)
