"""Whether a run fits into memory, by an estimate, before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from facet_worker.batch import SHARED_POSITIONS
from facet_worker.engine import AttributionSize
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
    a_kept_position : what a block keeps of a position for a gradient, keys and values of others left out
    a_kept_pair : what it keeps of each position that a later token's pass looks at
    a_state, a_block_cache : one position's state, and its keys and values in one block
    width : numbers of a state
    """

    a_position: int
    a_prompt_position: int
    a_kept_position: int
    a_kept_pair: int
    a_state: int
    a_block_cache: int
    width: int

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
        # Norms keep what they get in float32, attention its queries, keys, values and outputs, the feed-forward part three of its widths.
        block = 4 * 4 * width + (4 * heads * head + 3 * config.intermediate_size) * dtype.itemsize
        pair = 2 * (heads + groups) * head * dtype.itemsize
        return cls(keys, passing, block, pair, width * dtype.itemsize, 2 * groups * head * dtype.itemsize, width)

    def bytes(self, positions: int, arms: int, max_tokens: int, latents: int) -> int:
        """Of `arms` answers of up to `max_tokens` to a prompt of `positions`, through a dictionary of `latents`; prompts pass as batch.py lets them."""
        kept = arms * (positions + max_tokens) * self.a_position
        passing = max(positions, min(arms * positions, SHARED_POSITIONS)) * self.a_prompt_position + min(
            _ENCODER_BYTES, 3 * 4 * positions * latents
        )
        return int(_SPARE * (kept + passing))

    def kept(self, size: AttributionSize, recompute: bool) -> int:
        """Of what lies between the passes forward and the gradient alone."""
        whole = size.positions + size.tokens
        if recompute:
            states = size.above * (whole * self.a_state + size.tokens * whole * self.a_block_cache)
            return states + size.positions * self.a_kept_position
        return size.above * (whole * self.a_kept_position + size.tokens * whole * self.a_kept_pair)

    def attribution(self, size: AttributionSize, latents: int, recompute: bool) -> int:
        """Of an attribution at its most: the passes with their gradient, or a batch of ablations; and writing the answer first."""
        whole = size.positions + size.tokens
        # States, their gradient and their parts by features, in float32 and some in double precision.
        arithmetic = 80 * whole * self.width + min(_ENCODER_BYTES, 3 * 4 * whole * latents)
        passing = whole * self.a_position + size.positions * self.a_prompt_position
        gradient = self.kept(size, recompute) + passing + size.positions * self.a_kept_position
        ablations = (min(1, size.rows) if recompute else size.rows) * (passing + 3 * 4 * whole * self.width)
        written = self.bytes(size.positions, 1, size.tokens, latents) if size.written else 0
        return max(written, int(_SPARE * (arithmetic + max(gradient, ablations))))


class Admission:
    """Refuses runs whose estimate is beyond `capacity` for good, or beyond what is free right now for a while."""

    def __init__(self, size: RunSize, capacity: int, free: Callable[[], int]) -> None:
        self.size, self.capacity, self.free = size, capacity, free

    def __call__(self, positions: int, arms: int, max_tokens: int, latents: int, held: int = 0) -> int:
        """The estimate, where there is room for it beside what other runs `held`. Throws `too_large` and `engine_busy`; see `RunSize.bytes`."""
        run = f"{arms} answers of up to {max_tokens} tokens to a prompt of {positions} positions"
        wanted = self.size.bytes(positions, arms, max_tokens, latents)
        self._check(run, wanted, held, "Ask for fewer arms or tokens, or send fewer or smaller images.")
        return wanted

    def attribution(self, size: AttributionSize, latents: int, held: int = 0) -> tuple[int, bool]:
        """The estimate, and whether memory is to be spared (`engine.Admit`). Throws as for a run."""
        kept = self.size.attribution(size, latents, False)
        if kept <= self._room(held):
            return kept, False
        wanted = self.size.attribution(size, latents, True)
        run = f"attributing an answer of up to {size.tokens} tokens to a prompt of {size.positions} positions"
        self._check(
            run, wanted, held, "Ask for an earlier place in a shorter answer, measure fewer features, or send fewer or smaller images."
        )
        return wanted, True

    def _room(self, held: int) -> int:
        # What others hold they may not have taken yet.
        return min(self.free(), self.capacity - held)

    def _check(self, run: str, wanted: int, held: int, fix: str) -> None:
        if wanted > self.capacity:
            size, has = _said(wanted), _said(self.capacity)
            raise FacetError(f"This is too large for this worker: {run} takes about {size}, and it has {has}.", "too_large", fix=fix)
        if wanted > self._room(held):
            raise FacetError(
                f"This worker has too little memory free just now: {run} takes about {_said(wanted)}.", "engine_busy", retry_after_s=10
            )


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
