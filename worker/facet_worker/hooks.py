"""Find a decoder's blocks by structure and read or replace what one of them puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from facet_worker.errors import FacetError

_BLOCK_PARTS = ("self_attn", "mlp", "input_layernorm", "post_attention_layernorm")


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder's blocks, by structure and not by path, as their path differs between releases of Transformers.

    Parameters
    ----------
    model : a module that holds exactly one list of decoder blocks.

    Raises
    ------
    FacetError : when no list, or more than one, looks like a decoder.
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len(module) and all(all(hasattr(b, p) for p in _BLOCK_PARTS) for b in module)
    ]
    if len(found) != 1:
        raise FacetError(f"The model has {len(found)} lists of decoder blocks where exactly one was expected.")
    return found[0]


def hook_name(layer: int) -> str:
    """`model.layers.<layer>`: the output of that decoder block, counted from 0."""
    return f"model.layers.{layer}"


def _first_tensor(output: Any) -> Tensor:
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, Tensor) or hidden.ndim != 3:
        raise FacetError("The block's output holds no hidden state of shape [batch, tokens, width].")
    return hidden


def _with_first(output: Any, hidden: Tensor) -> Any:
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@dataclass
class Captured:
    """What a block put out: one tensor [batch, tokens, width] a forward pass, in order."""

    outputs: list[Tensor] = field(default_factory=list)

    def last(self) -> Tensor:
        """The newest output; an error when the block never ran."""
        if not self.outputs:
            raise FacetError("The hooked block did not run.")
        return self.outputs[-1]


def _block(model: nn.Module, layer: int) -> nn.Module:
    blocks = find_blocks(model)
    if not 0 <= layer < len(blocks):
        raise FacetError(f"Block {layer} does not exist; the decoder has {len(blocks)} blocks, counted from 0.")
    return blocks[layer]


@contextmanager
def capture(model: nn.Module, layer: int) -> Iterator[Captured]:
    """Collect the outputs of block `layer` while the context is open.

    Raises
    ------
    FacetError : when the block does not exist, or when no forward pass reached it.
    """
    captured = Captured()

    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        captured.outputs.append(_first_tensor(output).detach())

    handle = _block(model, layer).register_forward_hook(hook)
    try:
        yield captured
    finally:
        handle.remove()
    if not captured.outputs:
        raise FacetError(f"The hook at {hook_name(layer)} was attached but no forward pass reached it.")


@contextmanager
def replace(model: nn.Module, layer: int, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Put `change(hidden)` in the place of block `layer`'s output while the context is open.

    `change` receives float32 [batch, tokens, width], whatever the model's dtype and autocast, and answers the same shape.

    Raises
    ------
    FacetError : when the block does not exist, when the shape changes, or when no forward pass reached it.
    """
    calls = 0

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        hidden = _first_tensor(output)
        with torch.autocast(hidden.device.type, enabled=False):
            changed = change(hidden.float())
        if changed.shape != hidden.shape:
            raise FacetError(f"The replacement has shape {tuple(changed.shape)} where {tuple(hidden.shape)} was expected.")
        return _with_first(output, changed.to(hidden.dtype))

    handle = _block(model, layer).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    if not calls:
        raise FacetError(f"The hook at {hook_name(layer)} was attached but no forward pass reached it.")
