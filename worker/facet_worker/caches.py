"""Key-value caches of several runs as one batch: rows of any length, aligned at their ends."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _changed(cache: Any, change: Any) -> Any:
    whole = copy.copy(cache)
    whole.layers = [copy.copy(layer) for layer in cache.layers]
    for i, layer in enumerate(whole.layers):
        layer.keys, layer.values = change(i, "keys"), change(i, "values")
    return whole


def widened(cache: Any, rows: int) -> Any:
    """Of a pass whose batch grew from one to `rows` at a block: the blocks below it repeated."""

    def change(i: int, name: str) -> Tensor:
        part: Tensor = getattr(cache.layers[i], name)
        return part if len(part) == rows else part.expand(rows, -1, -1, -1)

    return _changed(cache, change)


def joined(caches: Sequence[Any], lengths: Sequence[int]) -> Any:
    """One batch of the rows of several; each row ends where all end, and what is before its beginning is zero and to be masked.

    Parameters
    ----------
    lengths : how many positions each cache has seen, padding included; layers with a window hold fewer
    """
    longest = max(lengths)

    def change(i: int, name: str) -> Tensor:
        parts = [getattr(cache.layers[i], name) for cache in caches]
        window = getattr(caches[0].layers[i], "sliding_window", None)
        size = longest if window is None else min(longest, window - 1)
        return torch.cat([F.pad(part[:, :, -size:], (0, 0, max(0, size - part.shape[2]), 0)) for part in parts])

    whole = _changed(caches[0], change)
    for layer in whole.layers:
        if getattr(layer, "is_sliding", False):
            layer.cumulative_length = longest
    return whole


def selected(cache: Any, rows: Sequence[int], unused: int) -> Any:
    """Some rows of a batch, without the first `unused` positions, which none of them has."""
    index = torch.tensor(list(rows), device=cache.layers[0].keys.device)

    def change(i: int, name: str) -> Tensor:
        layer = cache.layers[i]
        part: Tensor = getattr(layer, name)
        # A layer with a window may have let go of them already.
        gone = layer.get_seq_length() - part.shape[2]
        return part[index, :, max(0, unused - gone) :]

    whole = _changed(cache, change)
    for layer in whole.layers:
        if getattr(layer, "is_sliding", False):
            layer.cumulative_length -= unused
    return whole
