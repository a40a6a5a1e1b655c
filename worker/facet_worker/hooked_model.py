"""A Hugging Face image-text-to-text model run prompt first and then token by token, with one block's output changed on the way."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from facet_worker.decoder import decoder_block
from facet_worker.errors import FacetError

Change = Callable[[Tensor], Tensor]
"""From a block's output [B, T, D] to what takes its place, in the same dtype."""


@contextmanager
def changed_output(block: nn.Module, change: Change) -> Iterator[None]:
    """Puts `change(hidden)` in the place of the block's output for exactly one forward pass.

    Raises
    ------
    FacetError : `engine_failed` when the pass did not reach the block once, or its output is no hidden state.
    """
    calls = 0

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        hidden = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(hidden, Tensor) or hidden.ndim != 3:
            raise FacetError("The hooked block's output holds no hidden state of shape [batch, tokens, width].", "engine_failed")
        given = change(hidden)
        return (given, *output[1:]) if isinstance(output, tuple) else given

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    if calls != 1:
        raise FacetError(f"The model passed the hook {calls} times where once was expected.", "engine_failed")


class HookedModel:
    """Caches are passed in and out, so that several runs may take turns."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.dtype = next(model.parameters()).dtype
        # Renamed in newer releases of Transformers.
        self.accepted = frozenset(inspect.signature(model.forward).parameters)
        self.cache_name = "cache" if "cache" in self.accepted else "past_key_values"

    def _forward(self, cache: DynamicCache, **inputs: Any) -> Tensor:
        out = self.model(**inputs, **{self.cache_name: cache}, use_cache=True, logits_to_keep=1)
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def prefill(self, inputs: dict[str, Any], block: nn.Module, change: Change) -> tuple[Tensor, DynamicCache]:
        """A prompt through the model: logits [1, V] behind its last token, and its cache."""
        cache = DynamicCache(config=self.model.config.get_text_config())
        moved = {name: self._moved(value) for name, value in inputs.items()}
        # A prompt without images would leave what an earlier one set.
        self.restore(None)
        with torch.inference_mode(), changed_output(block, change):
            return self._forward(cache, **moved), cache

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.dtype) if value.is_floating_point() else value.to(self.device)

    def token(self, ids: Sequence[int], cache: DynamicCache, block: nn.Module, change: Change, offset: Any = None) -> Tensor:
        """One token a row through the model: logits [B, V]; the cache grows by it."""
        self.restore(offset)
        with torch.inference_mode(), changed_output(block, change):
            return self._forward(cache, input_ids=torch.tensor([[i] for i in ids], device=self.device))

    def offset(self) -> Any:
        """What a model remembers of its last prompt beside the cache: how far positions are from tokens, in Qwen-VL."""
        return getattr(self.model.model, "rope_deltas", None)

    def restore(self, offset: Any) -> None:
        """Brings back what `offset` said, whatever ran in between."""
        if hasattr(self.model.model, "rope_deltas"):
            self.model.model.rope_deltas = offset

    def probe(self, hook: str, width: int) -> nn.Module:
        """The block of a hook, once it is shown that the hook acts there: a refusal to start where it does not.

        Raises
        ------
        FacetError : `engine_unavailable` when the block's width is not the dictionary's, or changing its output changes nothing.
        """
        block = decoder_block(self.model, hook)
        ids = {"input_ids": torch.tensor([[0]])}
        seen: list[Tensor] = []

        def look(hidden: Tensor) -> Tensor:
            seen.append(hidden)
            return hidden

        def turn(hidden: Tensor) -> Tensor:
            # Not a multiple of the state: norms would undo that.
            return hidden.roll(1, -1)

        plain, _ = self.prefill(ids, block, look)
        changed, _ = self.prefill(ids, block, turn)
        if seen[0].shape[-1] != width:
            raise FacetError(
                f"The hook {hook!r} puts out states of width {seen[0].shape[-1]}; the dictionary is for {width}.", "engine_unavailable"
            )
        if torch.equal(plain, changed):
            raise FacetError(f"What the hook {hook!r} puts out has no effect on the answer.", "engine_unavailable")
        return block


def joined_cache(caches: Sequence[Any]) -> Any:
    """The caches of equally long runs as one batch."""
    whole = copy.copy(caches[0])
    whole.layers = [copy.copy(layer) for layer in caches[0].layers]
    for i, layer in enumerate(whole.layers):
        layer.keys = torch.cat([cache.layers[i].keys for cache in caches])
        layer.values = torch.cat([cache.layers[i].values for cache in caches])
    return whole
