"""A model's hidden states on pictures with their texts, at several blocks in one pass that stops above the last of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facet_worker.decoder import decoder_block, layer_of
from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.hooked_model import HookedModel
from facet_worker.planning import Layout
from facet_worker.prompting import Prompt, Prompter

OUT_OF_RANGE = "The model's hidden states hold numbers out of range."


@dataclass(frozen=True)
class Example:
    """A picture, read when it is needed, and what is said of it: words that stand behind it in a user's turn; may be empty."""

    name: str
    pixels: Callable[[], Pixels]
    text: str = ""


class _Enough(Exception):
    """Everything that is wanted was seen: nothing above is computed."""


@contextmanager
def _seen(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """What the blocks put out in the order given, float32 [B, T, D] each; the pass ends with the last one, in `_Enough`."""
    found: list[Tensor] = []

    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output).float())
        if len(found) == len(blocks):
            raise _Enough

    handles = [block.register_forward_hook(hook) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def alike(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Numbers of the prompts whose inputs have the same shapes, together: they are one batch without padding."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, prompt in enumerate(prompts):
        shapes = tuple((name, tuple(value.shape)) for name, value in sorted(prompt.inputs.items()) if isinstance(value, Tensor))
        groups.setdefault(shapes, []).append(i)
    return list(groups.values())


def wanted_positions(layout: Layout, tokens: str) -> Tensor:
    """Positions that are learned from: an image's tokens, or words; never the template's markers, nor the first token, whose states are of their own kind."""
    words = ~layout.image & ~layout.template & ~layout.sink
    chosen = {"image": layout.image, "text": words, "both": layout.image | words}[tokens]
    return torch.from_numpy(np.flatnonzero(chosen))


class ModelSource:
    """Examples in an order of their own in every round, some in a piece.

    What cannot be read, or whose states hold a number out of range, is left out; `causes` counts it by its sentence.

    Parameters
    ----------
    hooks : of decoder blocks, in any order; the states of a piece are in this order
    tokens : `image`, `text` or `both`
    together : examples in a piece, which go through the model together where their inputs have the same shapes
    """

    def __init__(
        self, model: Any, processor: Any, hooks: Sequence[str], examples: Sequence[Example], tokens: str, seed: int, together: int = 8
    ) -> None:
        if not hooks or not examples:
            raise FacetError("Training needs at least one hook and one picture.", "invalid_request")
        layers = [layer_of(hook) for hook in hooks]
        if len(set(layers)) != len(layers):
            raise FacetError("Two hooks name the same block.", "invalid_request")
        self.hooked = HookedModel(model)
        self.prompter = Prompter(processor, model.config, self.hooked.accepted)
        self.examples, self.tokens, self.seed, self.together = examples, tokens, seed, together
        self.blocks = [decoder_block(model, hook) for _, hook in sorted(zip(layers, hooks, strict=True))]
        self.order = [sorted(layers).index(layer) for layer in layers]
        self.width = int(model.config.get_text_config().hidden_size)
        self.causes: Counter[str] = Counter()
        self._round: tuple[int, Tensor] = (-1, torch.zeros(0))

    def _example(self, number: int) -> Example:
        turn, place = divmod(number, len(self.examples))
        if self._round[0] != turn:
            generator = torch.Generator().manual_seed(self.seed * 7_919 + turn)
            self._round = turn, torch.randperm(len(self.examples), generator=generator)
        return self.examples[int(self._round[1][place])]

    def prompt(self, example: Example) -> Prompt:
        """The picture alone, or with its words behind it. Throws whatever is wrong with the picture or the words."""
        pixels = example.pixels()
        if not example.text.strip():
            return self.prompter.of_image(pixels)
        content = [{"type": "image"}, {"type": "text", "text": example.text}]
        return self.prompter.assemble([{"role": "user", "content": content}], [pixels], 0)

    def moved(self, prompts: Sequence[Prompt]) -> dict[str, Any]:
        """The inputs of prompts of the same shapes as one batch, where the model is."""
        device, dtype = self.hooked.device, self.hooked.dtype
        batch = {name: torch.cat([prompt.inputs[name] for prompt in prompts]) for name in prompts[0].inputs}
        self.hooked.restore(None)
        return {name: value.to(device, dtype) if value.is_floating_point() else value.to(device) for name, value in batch.items()}

    def states(self, prompts: Sequence[Prompt]) -> Tensor:
        """Hidden states of every position of prompts of the same shapes, float32 [B, T, H, D]."""
        inputs = self.moved(prompts)
        with torch.no_grad(), _seen(self.blocks) as found:
            with suppress(_Enough):
                self.hooked.model(**inputs, use_cache=False)
            if len(found) != len(self.blocks):
                raise FacetError("The model did not pass every hook.", "engine_failed")
            return torch.stack([found[place] for place in self.order], 2)

    def prompts_of(self, examples: Iterable[Example]) -> list[Prompt]:
        """The prompts of those that can be read; what keeps the others from it is counted."""
        prompts = []
        for example in examples:
            try:
                prompts.append(self.prompt(example))
            except FacetError as error:
                self.causes[str(error)] += 1
        return prompts

    def piece(self, number: int) -> Tensor:
        """Hidden states of the wanted positions of some examples, [n, H, D] in the model's own dtype, which is exact and may be half as large."""
        first = number * self.together
        prompts = self.prompts_of(self._example(i) for i in range(first, first + self.together))
        found: dict[int, Tensor] = {}
        for group in alike(prompts):
            for i, states in zip(group, self.states([prompts[i] for i in group]), strict=True):
                chosen = states[wanted_positions(prompts[i].layout, self.tokens).to(states.device)]
                if bool(torch.isfinite(chosen).all()):
                    found[i] = chosen
                else:
                    self.causes[OUT_OF_RANGE] += 1
        empty = torch.zeros(0, len(self.blocks), self.width, device=self.hooked.device)
        return torch.cat([empty, *(found[i] for i in sorted(found))]).to(self.hooked.dtype)
