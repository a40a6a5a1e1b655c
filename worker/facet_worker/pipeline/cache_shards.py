"""One stretch of an image set through the model and its dictionaries: a state for each hook, and what could not be taken in."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from facet_worker.batch import Served
from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.feature_state import TEXT_LIMIT, FeatureState, Keep
from facet_worker.pipeline.paper_layout import Activations
from facet_worker.pipeline.pictures import Picture, pixels_of
from facet_worker.pipeline.troubles import Troubles
from facet_worker.planning import Layout
from facet_worker.prompting import Prompt
from facet_worker.torch_engine import TorchEngine
from facet_worker.training.model_source import Example, ModelSource, alike

NOT_FINITE = "The model's states at the hook hold numbers out of range, so the picture was left out"
TOO_LARGE = "An activation is above 65,504, the largest that maps hold, so the picture was left out"
LARGEST = 65_504.0
Codes = tuple[np.ndarray, np.ndarray]


@dataclass
class Shard:
    """What a stretch gave: a state by hook, the token ids of each text that was read (as far as an example shows them), troubles, and every activation
    by hook, where that was asked for."""

    states: dict[str, FeatureState]
    texts: dict[int, list[int]]
    troubles: Troubles
    seconds: float
    every: dict[str, list[Activations]] = field(default_factory=dict)


def save_state(state: FeatureState, path: Path) -> None:
    """As safetensors; equal states give equal files."""
    save_file({name: np.ascontiguousarray(array) for name, array in state.arrays().items()}, path)


def load_state(path: Path) -> FeatureState:
    """Read what `save_state` wrote."""
    return FeatureState.of_arrays(load_file(path))


def save_texts(texts: dict[int, list[int]], path: Path) -> None:
    """One JSON array [item, ids] a line."""
    path.write_text("".join(f"{json.dumps([item, ids])}\n" for item, ids in sorted(texts.items())))


def load_texts(path: Path) -> dict[int, list[int]]:
    """Read what `save_texts` wrote."""
    return dict(map(json.loads, path.read_text().splitlines()))


class ShardMaker:
    """Holds the model and its dictionaries.

    Parameters
    ----------
    prompt : words behind every picture, before what is said of it
    batch : pictures that go through the model together, where their inputs have the same shapes
    every : also give every activation on pictures
    """

    def __init__(self, engine: TorchEngine, keep: Keep, prompt: str = "", batch: int = 8, every: bool = False) -> None:
        self.engine, self.keep, self.prompt, self.batch, self.every = engine, keep, prompt, batch, every
        self.served: dict[str, Served] = {served.hook: served for served in engine.served.values()}
        nothing = Example("", lambda: np.zeros((1, 1, 3), np.uint8))
        self.source = ModelSource(engine.hooked.model, engine.prompter.processor, list(self.served), [nothing], "both", 0)

    def make(self, pictures: Sequence[Picture], first: int) -> Shard:
        """Pictures whose numbers begin at `first`."""
        begun = time.monotonic()
        shard = Shard({hook: FeatureState(served.sae.num_latents, self.keep) for hook, served in self.served.items()}, {}, Troubles(), 0.0)
        for start in range(0, len(pictures), self.batch):
            self._batch(shard, list(enumerate(pictures[start : start + self.batch], first + start)))
        shard.seconds = time.monotonic() - begun
        return shard

    def _prompt(self, picture: Picture) -> Prompt:
        pixels = pixels_of(picture.read())
        return self.source.prompt(Example(picture.name, lambda: pixels, " ".join(filter(None, (self.prompt, picture.text)))))

    def _batch(self, shard: Shard, pictures: list[tuple[int, Picture]]) -> None:
        ready: list[tuple[int, Picture, Prompt]] = []
        for item, picture in pictures:
            try:
                ready.append((item, picture, self._prompt(picture)))
            except FacetError as error:
                shard.troubles.add(str(error).removesuffix("."), picture.name)
        for group in alike([prompt for _, _, prompt in ready]):
            members = [ready[i] for i in group]
            with torch.inference_mode():
                self._group(shard, members, self.source.states([prompt for _, _, prompt in members]))

    def _group(self, shard: Shard, members: list[tuple[int, Picture, Prompt]], states: Tensor) -> None:
        """Pictures of one shape with their states [B, T, hooks, D]."""
        places = [_places(prompt.layout) for _, _, prompt in members]
        fine = torch.isfinite(states).all(-1).all(-1).all(-1).tolist()
        codes: dict[str, list[tuple[Codes, Codes, Codes]]] = {}
        for number, (hook, served) in enumerate(self.served.items()):
            codes[hook] = [
                _codes(served.sae, states[row, :, number], places[row]) if fine[row] else (_NONE, _NONE, _NONE)
                for row in range(len(members))
            ]
        small = [all(_largest(part) <= LARGEST for one in codes.values() for part in one[row]) for row in range(len(members))]
        for row, (_, picture, _) in enumerate(members):
            if not (fine[row] and small[row]):
                shard.troubles.add(TOO_LARGE if fine[row] else NOT_FINITE, picture.name)
        good = [row for row in range(len(members)) if fine[row] and small[row]]
        if not good:
            return
        items = np.array([members[row][0] for row in good])
        grid = members[good[0]][2].layout.images[0]
        for row in good:
            item, picture, prompt = members[row]
            if self.prompt or picture.text:
                lead, _, words = places[row]
                ids = prompt.inputs["input_ids"][0]
                shard.texts[item] = ids[torch.cat([lead, words])][:TEXT_LIMIT].tolist()
        for hook, every in codes.items():
            state = shard.states[hook]
            cells = _stacked([every[row][1] for row in good])
            state.add_images(items, (grid.rows, grid.cols), *cells)
            if self.every:
                shard.every.setdefault(hook, []).append(Activations.of_codes(items, *cells))
            for row, item in zip(good, items.tolist(), strict=True):
                before, _, behind = every[row]
                state.add_lead(*before, times=1)
                if item in shard.texts:
                    state.add_text(item, before, *behind)


def _stacked(codes: list[Codes]) -> Codes:
    """Codes [T, k] of several pictures as one array; k may differ where it is not fixed."""
    most = max(indices.shape[1] for indices, _ in codes)
    wide = [[np.pad(part, ((0, 0), (0, most - part.shape[1]))) for part in pair] for pair in codes]
    return np.stack([indices for indices, _ in wide]), np.stack([values for _, values in wide])


_NONE: Codes = (np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32))


def _largest(codes: Codes) -> float:
    return float(codes[1].max(initial=0))


def _places(layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Positions before the image, of its base grid's cells in their order, and behind it."""
    image = np.flatnonzero(layout.image)
    parts: list[Any] = [np.arange(image[0]), layout.images[0].cells, np.arange(image[-1] + 1, layout.length)]
    lead, cells, words = (torch.from_numpy(np.asarray(part, np.int64)) for part in parts)
    return lead, cells, words


def _codes(sae: Dictionary, states: Tensor, places: tuple[Tensor, Tensor, Tensor]) -> tuple[Codes, Codes, Codes]:
    """Latents before the image, on its cells and behind it, from states [T, D]: exactly what each token keeps, over all latents."""
    indices, values = sae.encode(states[torch.cat(places).to(states.device)])
    parts = [
        (i.cpu().numpy(), v.cpu().numpy())
        for i, v in zip(indices.split([*map(len, places)]), values.split([*map(len, places)]), strict=True)
    ]
    return parts[0], parts[1], parts[2]
