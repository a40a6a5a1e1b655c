"""Hidden states with known features, to try training on without a model: `python -m facet_worker.training.planted FOLDER [SECONDS A STEP]`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.training.settings import TrainSettings
from facet_worker.training.trainer import Progress, Trainer, processes

SETTINGS = TrainSettings(latents=64, k=3, steps=60, batch=256, lr=3e-3, warmup=5, dead_after=20_000, buffer=1024)


class Planted:
    """Each state is the sum of three of `count` random directions of width 32, with amounts between 1 and 2."""

    def __init__(self, count: int = 40, width: int = 32, hooks: int = 1) -> None:
        generator = torch.Generator().manual_seed(11)
        self.rows = F.normalize(torch.randn(count, width, generator=generator), dim=1)
        self.hooks = hooks
        self.causes: Counter[str] = Counter()

    def piece(self, number: int) -> Tensor:
        """128 states, float32 [128, H, 32]; at a second hook they are twice as large."""
        generator = torch.Generator().manual_seed(number)
        places = torch.rand(128, len(self.rows), generator=generator).topk(3, dim=1).indices
        amounts = 1 + torch.rand(128, 3, generator=generator)
        states = torch.zeros(128, len(self.rows)).scatter_(1, places, amounts) @ self.rows
        return torch.stack([states * (hook + 1) for hook in range(self.hooks)], 1)


def main() -> None:
    torch.set_num_threads(1)
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0

    def wait(_: Progress) -> None:
        time.sleep(pause)

    with processes() as (rank, world):
        Trainer(SETTINGS, Planted(), ["model.layers.0"], Path(sys.argv[1]), rank, world).run(save_every=10, tell=wait, tell_every=1)


if __name__ == "__main__":
    main()
