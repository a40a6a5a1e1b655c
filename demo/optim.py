"""Muon for matrices (its work shared out over the processes) and Adam for the rest, on plain dictionaries of tensors."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

Params = dict[str, Tensor]


def orthogonalise(g: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to a stack [n, rows, columns], by Newton–Schulz in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).bfloat16()
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.mT if tall else x).float()


class SharedMuon:
    """Each process keeps the momentum of its share of the matrices and sends its updates to the others."""

    def __init__(self, params: Params, rank: int, world: int, momentum: float = 0.95, decay: float = 0.02) -> None:
        self.names = sorted(params, key=lambda n: (-params[n].numel(), n))
        self.own = [n for i, n in enumerate(self.names) if i % world == rank]
        self.momentum, self.decay, self.world = momentum, decay, world
        self.state = {n: torch.zeros_like(params[n]) for n in self.own}
        self.total = sum(params[n].numel() for n in self.names)

    def step(self, params: Params, grads: Params, rates: dict[str, float]) -> None:
        """One step in place; rates are in Adam's scale (updates have root mean square .2)."""
        flat = torch.zeros(self.total)
        views: Params = {}
        at = 0
        for n in self.names:
            views[n] = flat[at : at + params[n].numel()].view(params[n].shape)
            at += params[n].numel()
        groups: dict[torch.Size, list[str]] = defaultdict(list)
        for n in self.own:
            self.state[n].lerp_(grads[n], 1 - self.momentum)
            groups[params[n].shape].append(n)
        for shape, names in groups.items():
            update = orthogonalise(torch.stack([grads[n].lerp(self.state[n], self.momentum) for n in names]))
            for n, u in zip(names, update * (0.2 * max(shape) ** 0.5), strict=True):
                views[n].copy_(u)
        if self.world > 1:
            dist.all_reduce(flat)
        for n in self.names:
            params[n].mul_(1 - rates[n] * self.decay).add_(views[n], alpha=-rates[n])


class Adam:
    """Adam with bias correction and no weight decay."""

    def __init__(self, params: Params, betas: tuple[float, float] = (0.9, 0.98), eps: float = 1e-8) -> None:
        self.names = sorted(params)
        self.betas, self.eps = betas, eps
        self.state: dict[str, Any] = {
            "step": 0,
            "m": {n: torch.zeros_like(params[n]) for n in self.names},
            "v": {n: torch.zeros_like(params[n]) for n in self.names},
        }

    def step(self, params: Params, grads: Params, rates: dict[str, float]) -> None:
        """One step in place."""
        s, (b1, b2) = self.state, self.betas
        s["step"] += 1
        for n in self.names:
            m, v, g = s["m"][n], s["v"][n], grads[n]
            m.lerp_(g, 1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            size = (v / (1 - b2 ** s["step"])).sqrt_().add_(self.eps)
            params[n].addcdiv_(m, size, value=-rates[n] / (1 - b1 ** s["step"]))
