"""Hidden states with known directions, weights that find them, and the sample that is kept beside each fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH, LATENTS, ACTIVE, SAMPLES = 16, 40, 2, 6


class World:
    """Hidden states that are sparse sums of known directions, and weights that find them."""

    def __init__(self, seed: int, latents: int = LATENTS, stretched: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(latents, WIDTH, generator=generator)
        # Pushed apart, so that no direction is taken for two others.
        for _ in range(300):
            directions = torch.nn.functional.normalize(directions, dim=1)
            overlaps = (directions @ directions.T).fill_diagonal_(0)
            directions = directions - 0.5 * overlaps**3 @ directions
        directions = torch.nn.functional.normalize(directions, dim=1)
        stretch = torch.exp(torch.rand(latents, 1, generator=generator) * 2 - 1) if stretched else torch.ones(latents, 1)
        self.w_dec = directions * stretch
        self.w_enc = directions / stretch
        self.b_dec = torch.randn(WIDTH, generator=generator) * 0.5
        self.b_enc = -0.05 - 0.1 * torch.rand(latents, generator=generator)
        self.threshold = 1.5 + 0.4 * torch.rand(latents, generator=generator)
        amounts = torch.zeros(SAMPLES, latents)
        for row in amounts:
            row[torch.randperm(latents, generator=generator)[:ACTIVE]] = 3 + torch.rand(ACTIVE, generator=generator)
        self.hidden = amounts @ directions + self.b_dec + 0.01 * torch.randn(SAMPLES, WIDTH, generator=generator)


def set_weights(module: Any, **tensors: Tensor) -> None:
    """Fill parameters by their dotted names, keeping each one's type."""
    with torch.no_grad():
        for name, value in tensors.items():
            parameter = module
            for part in name.split("__"):
                parameter = getattr(parameter, part)
            assert parameter.shape == value.shape, (name, parameter.shape, value.shape)
            parameter.copy_(value)


@torch.no_grad()
def write_sample(
    folder: Path, hidden: Tensor, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], worst: float = 0.6
) -> None:
    """`encode` gives dense activations [N, L]."""
    activations = encode(hidden).float()
    reconstruction = decode(hidden).float()
    unexplained = float(((reconstruction - hidden) ** 2).sum() / ((hidden - hidden.mean(0)) ** 2).sum())
    print(f"{folder}: active {float((activations != 0).float().sum(1).mean()):.1f} a sample, FVU {unexplained:.3f}")
    assert unexplained < worst, "This fixture would not tell right weights from wrong ones."
    tensors = {"hidden": hidden, "activations": activations, "reconstruction": reconstruction}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "sample.safetensors")
