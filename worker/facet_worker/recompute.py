"""Decoder blocks whose activations a backward pass computes again in place of finding them kept: PyTorch's activation checkpointing beside a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from facet_worker.decoder import decoder_blocks

Forward = Callable[..., Any]


class _Pass:
    """One pass of one block. The second time it runs, its layer of the cache is for that long as it was before the first."""

    def __init__(self, usual: Forward, layer: Any, args: Any, kwargs: Any) -> None:
        self.usual, self.layer, self.args, self.kwargs = usual, layer, args, kwargs
        self.before: dict[str, Any] | None = None

    def __call__(self) -> Any:
        held = vars(self.layer)
        if self.before is None:
            self.before = dict(held)
            return self.usual(*self.args, **self.kwargs)
        after = dict(held)
        held.clear()
        held.update(self.before)
        try:
            return self.usual(*self.args, **self.kwargs)
        finally:
            held.clear()
            held.update(after)


@contextmanager
def recomputed(model: Any, first: int) -> Iterator[None]:
    """While open, passes with a gradient keep only what enters the blocks from number `first` on; the backward pass runs each block once more.

    Hooks on blocks lie outside of what runs again, and see each pass once. The gradient is to be taken before this closes.
    """
    _, blocks = decoder_blocks(model)
    passes: list[_Pass] = []

    def again(usual: Forward, index: int) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            cache = next((value for value in (*args, *kwargs.values()) if isinstance(value, Cache)), None)
            if cache is None or not torch.is_grad_enabled():
                return usual(*args, **kwargs)
            passes.append(_Pass(usual, cache.layers[index], args, kwargs))
            # No block draws random numbers: models are served in evaluation mode.
            return checkpoint(passes[-1], use_reentrant=False, preserve_rng_state=False)

        return forward

    # A compiled block has a `forward` of its own already.
    replaced = [(block, vars(block).get("forward")) for block in blocks[first:]]
    for index, (block, _) in enumerate(replaced, first):
        block.forward = again(block.forward, index)
    try:
        yield
    finally:
        for block, own in replaced:
            if own is None:
                del block.forward
            else:
                block.forward = own
        # A cache's tensors hold the passes that they came from, and these the cache: nobody else would let go of them.
        for one in passes:
            one.__dict__.clear()
