"""Hidden states as they are learned from: mixed in a buffer of bounded size, in an order that a seed fixes and a checkpoint can go on from."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import torch
from torch import Tensor

from facet_worker.errors import FacetError


class Source(Protocol):
    """Where hidden states come from, piece by piece; `causes` counts what was left out of pieces."""

    causes: Counter[str]

    def piece(self, number: int) -> Tensor:
        """Hidden states of the piece of that number, [n, H, D] at H hooks; the same whenever it is asked for, and there is no last one."""
        ...


class Stream:
    """Batches of tokens from a source's pieces, of which each process takes every `world`-th.

    A batch is drawn from up to `capacity` tokens at random; half of them are there from the last filling, so that neighbours of a picture come apart.
    """

    def __init__(self, source: Source, capacity: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.source, self.capacity, self.rank, self.world = source, capacity, rank, world
        self.generator = torch.Generator().manual_seed(seed * 1_000_003 + rank)
        self.held: Tensor | None = None
        self.next_piece = rank
        self.tokens = 0

    def _fill(self) -> None:
        parts = [] if self.held is None else [self.held]
        count = sum(len(part) for part in parts)
        empty = 0
        while count < self.capacity:
            piece = self.source.piece(self.next_piece)
            self.next_piece += self.world
            # A picture that cannot be read is an empty piece; only such are a source that gives nothing.
            empty = 0 if len(piece) else empty + 1
            if empty == 1000:
                raise FacetError(
                    "A thousand pieces on end held no token to learn from.", "invalid_request", fix="Look at the causes that are counted."
                )
            parts.append(piece)
            count += len(piece)
        held = torch.cat(parts)
        order = torch.randperm(len(held), generator=self.generator)
        self.held = held[order.to(held.device)]

    def sample(self, tokens: int) -> Tensor:
        """The first tokens of the filled buffer, float32 [n, H, D], which are learned from later all the same."""
        if self.held is None:
            self._fill()
        assert self.held is not None
        return self.held[:tokens].float()

    def batch(self, tokens: int) -> Tensor:
        """The next batch, float32 [tokens, H, D]."""
        if self.held is None or len(self.held) < max(tokens, self.capacity // 2):
            self._fill()
        assert self.held is not None
        batch, self.held = self.held[:tokens], self.held[tokens:]
        self.tokens += tokens
        return batch.float()

    def state(self) -> dict[str, Any]:
        """Everything that the next batches depend on, for a checkpoint."""
        return {
            "held": None if self.held is None else self.held.clone(),
            "next_piece": self.next_piece,
            "tokens": self.tokens,
            "generator": self.generator.get_state(),
            "causes": dict(self.source.causes),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint's state."""
        held = state["held"]
        self.held = held if held is None or self.held is None else held.to(self.held.device)
        self.next_piece, self.tokens = state["next_piece"], state["tokens"]
        self.generator.set_state(state["generator"])
        self.source.causes = Counter(state.get("causes", {}))
