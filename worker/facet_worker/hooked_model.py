"""A Hugging Face image-text-to-text model run prompt first and then token by token, with one block's output changed on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from facet_worker.caches import joined, widened
from facet_worker.decoder import decoder_block, layer_of
from facet_worker.errors import FacetError


@dataclass(frozen=True)
class Place:
    """A row's next token: its `position` as the model counts them, and how much `padding` is before the row's own beginning in the cache."""

    position: int
    padding: int


Change = Callable[[Tensor], Tensor]
"""From a block's output [B, T, D] to what takes its place, in the same dtype; from a batch of one, to a batch of any size."""


class _Attached:
    """A change at a block, attached until it is removed; it acts while `change` is set."""

    def __init__(self, block: nn.Module) -> None:
        self.change: Change | None = None
        self.calls = 0
        self.remove = block.register_forward_hook(self._hook).remove

    def _hook(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        if self.change is None:
            return None
        self.calls += 1
        hidden = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(hidden, Tensor) or hidden.ndim != 3:
            raise FacetError("The hooked block's output holds no hidden state of shape [batch, tokens, width].", "engine_failed")
        given = self.change(hidden)
        return (given, *output[1:]) if isinstance(output, tuple) else given

    def check(self) -> None:
        """Throws `engine_failed` when what has just passed did not reach the block once."""
        if self.calls != 1:
            raise FacetError(f"The model passed the hook {self.calls} times where once was expected.", "engine_failed")


@contextmanager
def changed_output(block: nn.Module, change: Change) -> Iterator[None]:
    """Puts `change(hidden)` in the place of the block's output for exactly one forward pass.

    Raises
    ------
    FacetError : `engine_failed` when the pass did not reach the block once, or its output is no hidden state.
    """
    attached = _Attached(block)
    attached.change = change
    try:
        yield
    finally:
        attached.remove()
    attached.check()


@dataclass(frozen=True)
class Abilities:
    """Whether arms can share a prompt's way up to the hook, and whether rows of different lengths can be one batch."""

    shared: bool
    padded: bool


def _close(batch: Tensor, alone: Sequence[Tensor]) -> bool:
    """Whether logits [B, V] are those of the rows alone, as far as the arithmetic of a batch of another size lets them be."""
    far = max(float((row - one).abs().max()) for row, one in zip(batch, alone, strict=True))
    return far < 0.05 * max(float(one.std()) for one in alone)


def _watched(graph: bool) -> Any:
    return torch.enable_grad() if graph else torch.inference_mode()


class HookedModel:
    """Caches are passed in and out, so that several runs may take turns."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.dtype = next(model.parameters()).dtype
        # Renamed in newer releases of Transformers.
        self.accepted = frozenset(inspect.signature(model.forward).parameters)
        # Some count positions from 1.
        self.first_position = 0
        self.cache_name = "cache" if "cache" in self.accepted else "past_key_values"
        self.attached: dict[nn.Module, _Attached] = {}

    def _forward(self, cache: DynamicCache, **inputs: Any) -> Tensor:
        out = self.model(**inputs, **{self.cache_name: cache}, use_cache=True, logits_to_keep=1)
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def prefill(self, inputs: dict[str, Any], block: nn.Module, change: Change, graph: bool = False) -> tuple[Tensor, DynamicCache]:
        """A prompt through the model: logits [1, V] behind its last token, and its cache; `graph` keeps what a gradient needs."""
        cache = DynamicCache(config=self.model.config.get_text_config())
        moved = {name: self._moved(value) for name, value in inputs.items()}
        # A prompt without images would leave what an earlier one set.
        self.restore(None)
        self.detach()
        with _watched(graph), changed_output(block, change):
            return self._forward(cache, **moved), cache

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.dtype) if value.is_floating_point() else value.to(self.device)

    def token(
        self,
        ids: Sequence[int],
        cache: DynamicCache,
        changes: Mapping[nn.Module, Change],
        places: Sequence[Place] | None = None,
        graph: bool = False,
    ) -> Tensor:
        """One token a row through the model: logits [B, V]; the cache grows by it.

        Parameters
        ----------
        changes : by block, from its output [B, 1, D] to what takes its place
        places : where each row is, for a batch of rows of several lengths
        """
        inputs: dict[str, Any] = {"input_ids": torch.tensor([[i] for i in ids], device=self.device)}
        if places is not None:
            length = cache.get_seq_length() + 1
            mask = torch.ones(len(ids), length, dtype=torch.long)
            for row, place in enumerate(places):
                mask[row, : place.padding] = 0
            positions = torch.tensor([[place.position] for place in places], device=self.device)
            # Three axes of positions, which are the same for text.
            inputs["position_ids"] = positions.expand(3, -1, -1) if hasattr(self.model.model, "rope_deltas") else positions
            if bool((mask == 0).any()):
                inputs["attention_mask"] = mask.to(self.device)
        for block, change in changes.items():
            self.attach(block).change = change
        try:
            with _watched(graph):
                logits = self._forward(cache, **inputs)
        finally:
            passed = [self.attached[block] for block in changes]
            for attached in passed:
                attached.change = None
        for attached in passed:
            attached.check()
        return logits

    def attach(self, block: nn.Module) -> _Attached:
        """Readies a block for changes; it stays ready, as attaching anew for each token would take a hundredth of a small model's."""
        attached = self.attached.get(block)
        if attached is None:
            attached = self.attached[block] = _Attached(block)
        attached.calls = 0
        return attached

    def detach(self) -> None:
        """Leaves the blocks as they were; hooks of others that came since are then in front of the next."""
        for attached in self.attached.values():
            attached.remove()
        self.attached = {}

    def next_position(self, length: int) -> int:
        """Which position the model counts a token as that follows a prompt of `length`, the last that passed."""
        offset = self.offset()
        return self.first_position + length + (0 if offset is None else int(offset.reshape(-1)[0]))

    def offset(self) -> Any:
        """What a model remembers of its last prompt beside the cache: how far positions are from tokens, in Qwen-VL."""
        return getattr(self.model.model, "rope_deltas", None)

    def abilities(self, hook: str) -> Abilities:
        """Finds out, on two prompts of a few words, what holds of this model at a hook; whatever fails is said not to hold."""
        block, layer = decoder_block(self.model, hook), layer_of(hook)
        prompts = [torch.tensor([ids]) for ids in ([0, 1, 0], [0, 1, 1, 0, 1])]
        same: Change = lambda hidden: hidden  # noqa: E731
        alone, caches, after = [], [], []
        for ids in prompts:
            logits, cache = self.prefill({"input_ids": ids}, block, same)
            alone.append(logits[0])
            caches.append(cache)
        places = [Place(self.next_position(ids.shape[1]), 5 - ids.shape[1]) for ids in prompts]
        pair = joined(caches, [3, 5])
        for cache, place in zip(caches, places, strict=True):
            after.append(self.token([1], cache, {}, [Place(place.position, 0)])[0])
        try:
            padded = _close(self.token([1, 1], pair, {}, places), after)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError):
            padded = False
        # Qwen3-VL adds to its first blocks' outputs at the image's positions, by a mask of the batch that it was given.
        deep = len(getattr(getattr(self.model.config, "vision_config", None), "deepstack_visual_indexes", None) or ())
        try:
            wide, cache = self.prefill({"input_ids": prompts[1]}, block, lambda hidden: hidden.repeat(2, 1, 1))
            both = self.token([1, 1], widened(cache, 2), {}, [Place(places[1].position, 0)] * 2)
            shared = layer >= deep and _close(wide, [alone[1]] * 2) and _close(both, [after[1]] * 2)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError):
            shared = False
        return Abilities(shared, padded)

    def restore(self, offset: Any) -> None:
        """Brings back what `offset` said, whatever ran in between."""
        if hasattr(self.model.model, "rope_deltas"):
            self.model.model.rope_deltas = offset

    def _first_position(self, _module: nn.Module, _args: Any, kwargs: Mapping[str, Any]) -> None:
        positions = kwargs.get("position_ids")
        self.first_position = int(positions.reshape(-1)[0]) if isinstance(positions, Tensor) else 0

    def probe(self, hook: str, width: int) -> nn.Module:
        """The block of a hook, once it is shown that the hook acts there: a refusal to start where it does not.

        Raises
        ------
        FacetError : `engine_unavailable` when the block's width is not the dictionary's, or changing its output changes nothing.
        """
        block = decoder_block(self.model, hook)
        # Several: the embedding of padding is zero, and a turned zero is a zero.
        ids = {"input_ids": torch.tensor([[0, 1, 2]])}
        seen: list[Tensor] = []

        def look(hidden: Tensor) -> Tensor:
            seen.append(hidden)
            return hidden

        def turn(hidden: Tensor) -> Tensor:
            # Not a multiple of the state: norms would undo that.
            return hidden.roll(1, -1)

        handle = block.register_forward_pre_hook(self._first_position, with_kwargs=True)
        plain, _ = self.prefill(ids, block, look)
        handle.remove()
        changed, _ = self.prefill(ids, block, turn)
        if seen[0].shape[-1] != width:
            raise FacetError(
                f"The hook {hook!r} puts out states of width {seen[0].shape[-1]}; the dictionary is for {width}.", "engine_unavailable"
            )
        if torch.equal(plain, changed):
            raise FacetError(f"What the hook {hook!r} puts out has no effect on the answer.", "engine_unavailable")
        return block
