"""Clamp features while a model reads and writes, by the same arithmetic as every other engine.

`set` v = value·unit, `scale` v = value·a, `add` v = a + value·unit, `ablate` v = 0; mode `delta` adds Σ (v − a) · W_dec[f] to the hidden state
at the hook, in float32, so that v = a changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.sae import TopKSae
from facet_worker.split import Caches, SplitModel

Op = Literal["set", "scale", "add", "ablate"]
ScopeType = Literal["image", "prompt", "generated", "all", "region"]


@dataclass(frozen=True)
class Scope:
    """`image`, `prompt` (the words and the template) and `generated` are disjoint, `all` is their union, `region` some cells of the image."""

    type: ScopeType = "image"
    cells: tuple[int, ...] = ()


@dataclass(frozen=True)
class Clamp:
    """One feature's clamp; `unit` is the raw activation that `value` counts in (a feature's own maximum, or 1)."""

    feature: int
    op: Op = "set"
    value: float = 1.0
    unit: float = 1.0
    scope: Scope = field(default_factory=Scope)


@dataclass
class Count:
    """Positions that a clamp's scope covered, and those whose hidden state was changed, counted where the change is made."""

    planned: int = 0
    changed: int = 0

    def add(self, planned: int, changed: int) -> None:
        self.planned += planned
        self.changed += changed


@dataclass
class Receipt:
    """What really happened, image, prompt and generated positions apart."""

    image: Count = field(default_factory=Count)
    prompt: Count = field(default_factory=Count)
    generated: Count = field(default_factory=Count)

    @property
    def changed(self) -> int:
        return self.image.changed + self.prompt.changed + self.generated.changed


def check_clamps(clamps: Sequence[Clamp], num_latents: int, cells: int) -> None:
    """Refuse clamps that could act nowhere or on the same feature twice in one place.

    Raises
    ------
    FacetError : index out of range, an empty or impossible region, overlapping clamps of one feature.
    """
    for i, a in enumerate(clamps):
        if not 0 <= a.feature < num_latents:
            raise FacetError(f"Feature {a.feature} does not exist; the dictionary has {num_latents} features.")
        if a.scope.type == "region" and (not a.scope.cells or min(a.scope.cells) < 0 or max(a.scope.cells) >= cells):
            raise FacetError(f"The region of feature {a.feature} is empty or leaves the grid of {cells} cells.")
        for b in clamps[:i]:
            if a.feature == b.feature and _overlap(a.scope, b.scope):
                raise FacetError(f"Feature {a.feature} is clamped twice in the same place.")


def _overlap(a: Scope, b: Scope) -> bool:
    if a.type == "region" and b.type == "region":
        return bool(set(a.cells) & set(b.cells))
    kinds = {
        "image": {"image"},
        "region": {"image"},
        "prompt": {"prompt"},
        "generated": {"generated"},
        "all": {"image", "prompt", "generated"},
    }
    return bool(kinds[a.type] & kinds[b.type])


def scope_mask(scope: Scope, kinds: npt.NDArray[np.str_], cells: npt.NDArray[np.int64]) -> Tensor:
    """Which positions [T] a scope covers, given each position's kind (`image`, `prompt`, `generated`) and its cell (−1 off the image)."""
    if scope.type == "all":
        return torch.ones(len(kinds), dtype=torch.bool)
    if scope.type == "region":
        return torch.from_numpy(np.isin(cells, scope.cells))
    return torch.from_numpy(kinds == scope.type)


def clamp_delta(hidden: Tensor, sae: TopKSae, clamp: Clamp, mask: Tensor) -> Tensor:
    """What one clamp adds to hidden states [B, T, D] at the positions in mask [T] (or [B, T]); exactly 0 elsewhere."""
    mask = mask.expand(hidden.shape[:2])
    out = torch.zeros_like(hidden)
    rows = hidden[mask]
    if not len(rows):
        return out
    now = sae.activation_of(rows, torch.tensor([clamp.feature]))[:, 0]
    if clamp.op == "set":
        then = torch.full_like(now, clamp.value * clamp.unit)
    elif clamp.op == "scale":
        then = clamp.value * now
    elif clamp.op == "add":
        then = now + clamp.value * clamp.unit
    else:
        then = torch.zeros_like(now)
    out[mask] = (then - now)[:, None] * sae.w_dec[clamp.feature]
    return out


class Steerer:
    """One model, hook and dictionary, ready to generate with clamps. Greedy, float32, with caches."""

    def __init__(self, checkpoint: Checkpoint, layer: int, sae: TopKSae) -> None:
        self.checkpoint, self.sae = checkpoint, sae
        self.split = SplitModel(checkpoint.model, layer)
        self.eos = int(checkpoint.tokenizer.eos_token_id)

    def _changed(
        self, hidden: Tensor, clamps: Sequence[Clamp], kinds: npt.NDArray[np.str_], cells: npt.NDArray[np.int64], receipt: Receipt
    ) -> Tensor:
        if not clamps:
            return hidden
        total = torch.zeros_like(hidden)
        planned = torch.zeros(hidden.shape[1], dtype=torch.bool)
        for clamp in clamps:
            mask = scope_mask(clamp.scope, kinds, cells)
            planned |= mask
            total += clamp_delta(hidden, self.sae, clamp, mask)
        out = hidden + total
        changed = (out != hidden).any(-1)
        for name, count in (("image", receipt.image), ("prompt", receipt.prompt), ("generated", receipt.generated)):
            where = torch.from_numpy(kinds == name)
            count.add(int((planned & where).sum()) * len(hidden), int(changed[:, where].sum()))
        return out

    @torch.inference_mode()
    def generate(self, pixels: Tensor | None, ids: list[int], clamps: Sequence[Clamp], limit: int = 48) -> tuple[list[int], Receipt]:
        """Token ids written behind one prompt (the end included), and the receipt.

        Raises
        ------
        FacetError : when a clamp covers no position at all.
        """
        array = np.array(ids)
        on_image = array == self.split.image_token
        kinds = np.where(on_image, "image", "prompt")
        cells = np.where(on_image, np.cumsum(on_image) - 1, -1)
        check_clamps(clamps, self.sae.num_latents, int(on_image.sum()))
        for clamp in clamps:
            if clamp.scope.type != "generated" and not bool(scope_mask(clamp.scope, kinds, cells).any()):
                raise FacetError(f"The clamp of feature {clamp.feature} covers no position of this prompt.")
        receipt = Receipt()
        image = None if pixels is None else self.split.vision(pixels)
        hidden, low = self.split.lower(self.split.embed(torch.tensor([ids]), image), *self.split.lower.empty(1))
        logits, up = self.split.upper(self._changed(hidden, clamps, kinds, cells, receipt), *self.split.upper.empty(1))
        out: list[int] = []
        one, nowhere = np.array(["generated"]), np.array([-1])
        while True:
            token = int(logits[0, -1].argmax())
            out.append(token)
            if token == self.eos or len(out) >= limit:
                return out, receipt
            hidden, low = self.split.lower(self.split.embedding(torch.tensor([[token]])), *low)
            logits, up = self.split.upper(self._changed(hidden, clamps, one, nowhere, receipt), *up)


@dataclass
class Prefix:
    """Images that the lower blocks have read: hidden states [B, P, D] at the hook and the caches behind it."""

    hidden: Tensor
    low: Caches

    def rows(self, index: Tensor) -> Prefix:
        return Prefix(self.hidden[index], [c[index] for c in self.low])


class Asker(Steerer):
    """Ask many questions about many images, most with an image's hidden states already changed; for experiments by the thousand.

    The image stands before the words, so its part is computed once for every question.
    """

    def __init__(self, checkpoint: Checkpoint, layer: int, sae: TopKSae) -> None:
        super().__init__(checkpoint, layer, sae)
        ids = checkpoint.ids_of(checkpoint.prompt([("user", "")]))
        last = max(i for i, token in enumerate(ids) if token == checkpoint.image_token)
        self.prefix_ids = ids[: last + 1]
        self.lead = self.prefix_ids.index(checkpoint.image_token)

    @torch.inference_mode()
    def read(self, pixels: npt.NDArray[np.uint8]) -> Prefix:
        """Images uint8 [B, S, S, 3] through vision and the lower blocks."""
        ids = torch.tensor([self.prefix_ids]).expand(len(pixels), -1)
        embeds = self.split.embed(ids, self.split.vision(self.checkpoint.pixels(pixels)))
        return Prefix(*self.split.lower(embeds, *self.split.lower.empty(len(pixels))))

    def set_on_cells(self, hidden: Tensor, features: Tensor, values: Tensor, cells: Tensor, directions: Tensor | None = None) -> Tensor:
        """Set one feature a row on some cells of its image.

        Parameters
        ----------
        hidden : [B, P, D]
        features, values : [B], each row's feature and the raw activation that it is set to
        cells : bool [B, rows·cols]
        directions : [B], features whose decoder rows carry the change instead (a control of equal norm)
        """
        return self.set_where(hidden, features, values, torch.nn.functional.pad(cells, (self.lead, 0)), directions)

    def set_where(self, hidden: Tensor, features: Tensor, values: Tensor, mask: Tensor, directions: Tensor | None = None) -> Tensor:
        """The same on positions bool [B, P]."""
        rows, owner = hidden[mask], mask.nonzero()[:, 0]
        now = self.sae.activations(rows).gather(1, features[owner, None])[:, 0]
        out = hidden.clone()
        carrier = features if directions is None else directions
        out[mask] = rows + (values[owner] - now)[:, None] * self.sae.w_dec[carrier[owner]]
        return out

    def reconstruct_where(self, hidden: Tensor, features: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The paper's mode: the dictionary's output everywhere in place of hidden states [B, P, D], one feature a row set on positions bool [B, P].

        A set feature that is not among a position's k takes the place of the weakest of them.
        """
        indices, acts = self.sae.encode(hidden)
        wanted, raw = features[:, None, None].expand_as(indices), values[:, None].expand(mask.shape)
        there = (indices == wanted) & (acts > 0)
        weakest = torch.nn.functional.one_hot(torch.full(mask.shape, self.sae.k - 1), self.sae.k).bool()
        at = torch.where(there.any(-1, keepdim=True), there, weakest) & mask[..., None]
        return self.sae.decode(torch.where(at, wanted, indices), torch.where(at, raw[..., None], acts))

    @torch.inference_mode()
    def open(self, hidden: Tensor) -> Caches:
        """Let the upper blocks read images' hidden states [B, P, D]; answers their caches, for any number of questions."""
        return self.split.upper(hidden, *self.split.upper.empty(len(hidden)))[1]

    def words_of(self, turns: list[tuple[str, str]]) -> list[int]:
        """Ids of a conversation of (role, text) behind its image, up to where the model answers."""
        return self.checkpoint.ids_of(self.checkpoint.prompt(turns))[len(self.prefix_ids) :]

    def ask(self, low: Caches, up: Caches, question: str, limit: int = 8, change: Callable[[Tensor], Tensor] | None = None) -> list[str]:
        """One question to every row; see `ask_rows`."""
        ids = self.words_of([("user", question)])
        return self.ask_rows(low, up, torch.tensor([ids]).expand(len(up[0]), -1), limit, change)

    @torch.inference_mode()
    def ask_rows(
        self, low: Caches, up: Caches, tokens: Tensor, limit: int = 8, change: Callable[[Tensor], Tensor] | None = None
    ) -> list[str]:
        """Greedy answers, one a row; an answer cut off at the limit ends with `…`.

        Parameters
        ----------
        low, up : caches behind the images, of the lower and the upper blocks
        tokens : int64 [B, T], each row's words as `words_of` gives them
        change : what to do to the hidden states [B, t, D] of the words: first those asked, t = T, then each one written, t = 1
        """
        written: list[Tensor] = []
        ended = torch.zeros(len(up[0]), dtype=torch.bool)
        for _ in range(limit):
            hidden, low = self.split.lower(self.split.embedding(tokens), *low)
            logits, up = self.split.upper(change(hidden) if change else hidden, *up)
            token = logits[:, -1].argmax(-1)
            token[ended] = self.eos
            written.append(token)
            ended |= token == self.eos
            if bool(ended.all()):
                break
            tokens = token[:, None]
        rows = torch.stack(written, 1).tolist()
        return [self._words(row) + ("" if bool(ended[i]) else " …") for i, row in enumerate(rows)]

    def _words(self, ids: list[int]) -> str:
        words = self.checkpoint.tokenizer.convert_ids_to_tokens(ids[: ids.index(self.eos)] if self.eos in ids else ids)
        return " ".join(words)
