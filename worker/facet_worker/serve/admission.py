"""Whether a run fits into memory, by an estimate, before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from facet_worker.batch import SHARED_POSITIONS
from facet_worker.errors import FacetError
from facet_worker.serve.device import free_memory

_SPARE = 1.2
_ENCODER_BYTES = 3 << 28  # pre-activations of a dictionary, chunk by chunk: see dictionaries.py


@dataclass(frozen=True)
class RunSize:
    """What a run takes of a model, in bytes.

    Attributes
    ----------
    a_position : keys and values of one position of one arm
    a_prompt_position : what passing a position of a prompt takes beside, at its most
    """

    a_position: int
    a_prompt_position: int

    @classmethod
    def of(cls, config: Any, dtype: torch.dtype) -> RunSize:
        """From a model's text configuration."""
        width, heads = config.hidden_size, config.num_attention_heads
        head = getattr(config, "head_dim", None) or width // heads
        groups = getattr(config, "num_key_value_heads", None) or heads
        # Keys and values twice over: while arms are joined, and while a cache grows by a token, the old and the new are there.
        keys = 2 * 2 * config.num_hidden_layers * groups * head * dtype.itemsize
        # A block's states, its feed-forward part, and float32 copies at the hook.
        passing = (6 * width + 3 * config.intermediate_size) * dtype.itemsize + 5 * 4 * width
        return cls(keys, passing)

    def bytes(self, positions: int, arms: int, max_tokens: int, latents: int) -> int:
        """Of `arms` answers of up to `max_tokens` to a prompt of `positions`, through a dictionary of `latents`; prompts pass as batch.py lets them."""
        kept = arms * (positions + max_tokens) * self.a_position
        passing = max(positions, min(arms * positions, SHARED_POSITIONS)) * self.a_prompt_position + min(
            _ENCODER_BYTES, 3 * 4 * positions * latents
        )
        return int(_SPARE * (kept + passing))


class Admission:
    """Refuses runs whose estimate is beyond `capacity` for good, or beyond what is free right now for a while."""

    def __init__(self, size: RunSize, capacity: int, free: Callable[[], int]) -> None:
        self.size, self.capacity, self.free = size, capacity, free

    def __call__(self, positions: int, arms: int, max_tokens: int, latents: int, held: int = 0) -> int:
        """The estimate, where there is room for it beside what other runs `held`. Throws `too_large` and `engine_busy`; see `RunSize.bytes`."""
        wanted = self.size.bytes(positions, arms, max_tokens, latents)
        run = f"{arms} answers of up to {max_tokens} tokens to a prompt of {positions} positions take about {_said(wanted)}"
        if wanted > self.capacity:
            raise FacetError(
                f"This run is too large for this worker: {run}, and it has {_said(self.capacity)}.",
                "too_large",
                fix="Ask for fewer arms or tokens, or send fewer or smaller images.",
            )
        # What others hold they may not have taken yet.
        if wanted > min(self.free(), self.capacity - held):
            raise FacetError(f"This worker has too little memory free just now: {run}.", "engine_busy", retry_after_s=10)
        return wanted


def admission_of(engine: Any, device: torch.device, limit: int | None) -> Admission | None:
    """For an engine over PyTorch whose model is loaded; `limit` bytes where fewer than are free. None for any other."""
    hooked = getattr(engine, "hooked", None)
    if hooked is None:
        return None
    capacity = free_memory(device)
    size = RunSize.of(hooked.model.config.get_text_config(), hooked.dtype)
    return Admission(size, capacity if limit is None else min(limit, capacity), lambda: free_memory(device))


def _said(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{max(1, round(size / (1 << 20)))} MiB"
