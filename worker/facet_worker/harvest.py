"""Hidden states at several hooks in one pass: an image once, then any number of texts behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.split import Blocks, Caches, VisionPart


@dataclass(frozen=True)
class Item:
    """One image with the texts that follow it.

    Attributes
    ----------
    pixels : uint8 [S, S, 3], the model's own size
    texts : token ids of each text, as they stand behind the image
    """

    pixels: npt.NDArray[np.uint8]
    texts: tuple[tuple[int, ...], ...] = ()


@dataclass
class Hidden:
    """Hidden states of one batch at one hook.

    Attributes
    ----------
    prefix : float32 [B, P, D], template tokens before the image, then the image's tokens
    image : float32 [B, rows·cols, D], the image's part of it
    texts : for each item, for each of its texts, float32 [length, D]
    """

    prefix: Tensor
    image: Tensor
    texts: list[list[Tensor]]


class Harvester:
    """Runs the lower blocks of a checkpoint up to the deepest hook asked for.

    Every item shares the template before the image, so texts run on the image's cached keys and values.
    """

    def __init__(self, checkpoint: Checkpoint, layers: Sequence[int]) -> None:
        if not layers:
            raise FacetError("Name at least one block to read.")
        self.checkpoint = checkpoint
        self.layers = sorted(set(layers))
        self.vision = VisionPart(checkpoint.model)
        starts = [0, *(layer + 1 for layer in self.layers[:-1])]
        self.segments = [Blocks(checkpoint.model, a, b + 1) for a, b in zip(starts, self.layers, strict=True)]
        ids = checkpoint.ids_of(checkpoint.prompt([("user", "")]))
        places = [i for i, token in enumerate(ids) if token == checkpoint.image_token]
        self.lead = ids[: places[0]]
        self.embedding = checkpoint.model.get_input_embeddings()

    @property
    def prefix_ids(self) -> list[int]:
        """Ids of everything up to the image's last token."""
        return [*self.lead, *[self.checkpoint.image_token] * self.checkpoint.grid**2]

    def _run(self, x: Tensor, past: list[Caches]) -> tuple[list[Tensor], list[Caches]]:
        hiddens, caches = [], []
        for segment, cache in zip(self.segments, past, strict=True):
            x, new = segment(x, *cache)
            hiddens.append(x)
            caches.append(new)
        return hiddens, caches

    @torch.inference_mode()
    def run(self, items: Sequence[Item]) -> dict[int, Hidden]:
        """Hidden states of a batch at every hook, by block number."""
        pixels = self.checkpoint.pixels(np.stack([item.pixels for item in items]))
        image = self.vision(pixels)
        lead = self.embedding(torch.tensor(self.lead)).expand(len(items), -1, -1)
        past = [segment.empty(len(items)) for segment in self.segments]
        prefix, caches = self._run(torch.cat([lead, image], 1), past)
        out = {layer: Hidden(h, h[:, len(self.lead) :], [[] for _ in items]) for layer, h in zip(self.layers, prefix, strict=True)}
        rows = [(i, text) for i, item in enumerate(items) for text in item.texts]
        if not rows:
            return out
        owner = torch.tensor([i for i, _ in rows])
        ids = torch.zeros(len(rows), max(len(text) for _, text in rows), dtype=torch.long)
        for r, (_, text) in enumerate(rows):
            ids[r, : len(text)] = torch.tensor(text)
        # padding stands on the right, where a causal decoder never looks from a real token
        texts, _ = self._run(self.embedding(ids), [[c[owner] for c in cache] for cache in caches])
        for layer, h in zip(self.layers, texts, strict=True):
            for r, (i, text) in enumerate(rows):
                out[layer].texts[i].append(h[r, : len(text)])
        return out

    def batches(self, items: Sequence[Item], batch: int = 32) -> Iterator[tuple[Sequence[Item], dict[int, Hidden]]]:
        """Walk many items, a batch at a time."""
        for start in range(0, len(items), batch):
            part = items[start : start + batch]
            yield part, self.run(part)


@dataclass
class Activations:
    """Hidden states at one hook for training, float32.

    Attributes
    ----------
    image : [N, D], image tokens
    text : [M, D], every token behind the image
    template : [T, D], tokens before the image (the same for every item)
    """

    image: Tensor
    text: Tensor
    template: Tensor


def collect(checkpoint: Checkpoint, items: Sequence[Item], layers: Sequence[int], batch: int = 32) -> dict[int, Activations]:
    """Harvest items into one pool of activations a hook."""
    harvester = Harvester(checkpoint, layers)
    images: dict[int, list[Tensor]] = {layer: [] for layer in harvester.layers}
    texts: dict[int, list[Tensor]] = {layer: [] for layer in harvester.layers}
    template: dict[int, Tensor] = {}
    for _, hidden in harvester.batches(items, batch):
        for layer, h in hidden.items():
            images[layer].append(h.image.flatten(0, 1))
            texts[layer] += [t for one in h.texts for t in one]
            template[layer] = h.prefix[0, : len(harvester.lead)]
    width = checkpoint.width
    return {
        layer: Activations(torch.cat(images[layer]), torch.cat(texts[layer]) if texts[layer] else torch.zeros(0, width), template[layer])
        for layer in harvester.layers
    }
