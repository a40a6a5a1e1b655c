"""Arms of one run or of several going through the model side by side: one pass writes a token of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facet_worker.arms import ArmRun, active_features
from facet_worker.caches import joined, selected, widened
from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.hooked_model import Abilities, HookedModel, Place
from facet_worker.prompting import Prompt
from facet_worker.reconstruction import Reconstruction
from facet_worker.token_clamps import inactive

# So many positions may pass the blocks above the hook at once, unless one prompt alone is longer.
SHARED_POSITIONS = 1 << 14
Told = tuple[int, dict[str, Any]]
"""Whose event, and the event."""


@dataclass
class Served:
    """A dictionary at its hook."""

    id: str
    hook: str
    sae: Dictionary
    block: nn.Module
    abilities: Abilities
    reconstruction: Reconstruction | None = None


@dataclass
class Member:
    """An arm's row: whose it is, how many of each token's features are told, its next position and the padding before its beginning."""

    run: ArmRun
    served: Served
    owner: int
    listed: int
    position: int
    padding: int = 0


class KnownLatents:
    """Latents of some rows of hidden states [R, D], encoded once for whoever asks."""

    def __init__(self, sae: Dictionary, hidden: Tensor, rows: Tensor | list[int]) -> None:
        # Known here as well, so that no token waits for a look at the device.
        self.at = {row: i for i, row in enumerate(rows)} if isinstance(rows, list) else {}
        if isinstance(rows, list) and not rows:
            return
        index = torch.tensor(rows, dtype=torch.long, device=hidden.device) if isinstance(rows, list) else rows
        self.place = torch.full((len(hidden),), -1, dtype=torch.long, device=hidden.device)
        self.place[index] = torch.arange(len(index), device=hidden.device)
        self.codes = sae.encode(hidden[index].float())

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Of these rows, each of which was named before: indices and values [len(rows), n]."""
        at = self.place[rows]
        return self.codes[0][at], self.codes[1][at]

    def only(self, row: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Of one row, for whoever sees that alone and asks for its row 0; nothing is active there where it was not named."""
        at = self.at.get(row)
        if at is None:
            return inactive
        return lambda _: (self.codes[0][at : at + 1], self.codes[1][at : at + 1])


def _open(own: Tensor, members: Sequence[Member]) -> list[int]:
    """Of one state [D] a member, those at which a feature that is asked about may be active."""
    named = []
    for at, member in enumerate(members):
        quiet = member.run.tokens.quiet if member.run.tokens and not member.listed else None
        if quiet is None or not quiet.surely(own[None, at : at + 1].float()):
            named.append(at)
    return named


def _known(sae: Dictionary, own: Tensor, members: Sequence[Member], named: list[int]) -> KnownLatents:
    """Of one state [D] a member: the named ones encoded together."""
    known = KnownLatents(sae, own, named)
    for at in named:
        tokens = members[at].run.tokens
        if tokens and tokens.quiet:
            indices, values = known.only(at)(own)
            tokens.quiet.learn(indices[0][values[0] > 0])
    return known


class Batch:
    """Rows of several lengths end together; a run may join while others are under way."""

    def __init__(self, hooked: HookedModel) -> None:
        self.hooked = hooked
        self.members: list[Member] = []
        self.waiting: list[tuple[list[Member], Any]] = []
        self.cache: Any = None
        self.failed: dict[int, FacetError] = {}

    def admit(self, served: Served, prompt: Prompt, runs: Sequence[ArmRun], listed: int, owner: int, cancelled: Callable[[], bool]) -> None:
        """The prompt's passage through the model for the arms of one run, unpadded; up to the hook once for all where the model lets it."""
        size = max(1, SHARED_POSITIONS // prompt.layout.length) if served.abilities.shared else 1
        for at in range(0, len(runs), size):
            if at and cancelled():
                for run in runs[at:]:
                    run.finish = "cancelled"
                return
            self._admit(served, prompt, runs[at : at + size], listed, owner)

    def _admit(self, served: Served, prompt: Prompt, runs: Sequence[ArmRun], listed: int, owner: int) -> None:
        start = time.perf_counter()

        def change(hidden: Tensor) -> Tensor:
            rows = torch.unique(torch.cat([run.covered() for run in runs]))
            known = KnownLatents(served.sae, hidden[0], rows)
            return torch.stack([run.at_hook(hidden[0], True, known.of) for run in runs])

        logits, cache = self.hooked.prefill(prompt.inputs, served.block, change)
        position = self.hooked.next_position(prompt.layout.length)
        rows = logits.cpu().numpy()
        spent = 1e3 * (time.perf_counter() - start)
        for row, run in zip(rows, runs, strict=True):
            run.logits, run.prefill_ms = row, spent
        self.waiting.append(([Member(run, served, owner, listed, position) for run in runs], widened(cache, len(runs))))

    def step(self) -> Iterator[Told]:
        """Each open arm writes a token, and the tokens enter the model; yields the tokens' events as they are known."""
        start = time.perf_counter()
        self._join()
        written = [(row, member, self._written(member)) for row, member in enumerate(self.members) if member.run.finish is None]
        for _, member, event in written:
            if event and not member.listed:
                yield member.owner, event
        # A token that ends an answer enters the model only to be looked at.
        entering = [(row, member, event) for row, member, event in written if event and self._enters(member)]
        self._keep([row for row, _, _ in entering])
        if entering:
            self._pass([event for _, _, event in entering])
        spent = 1e3 * (time.perf_counter() - start)
        for _, member, _ in written:
            member.run.decode_ms += spent
        for _, member, event in written:
            if event and member.listed:
                yield member.owner, event

    def _enters(self, member: Member) -> bool:
        return member.owner not in self.failed and bool(member.listed or member.run.finish is None)

    def _written(self, member: Member) -> dict[str, Any] | None:
        try:
            return None if member.owner in self.failed else member.run.write()
        except FacetError as error:
            self.failed[member.owner] = error
            return None

    def _join(self) -> None:
        if not self.waiting:
            return
        parts = [(self.members, self.cache)] if self.members else []
        parts += self.waiting
        self.waiting = []
        lengths = [cache.get_seq_length() for _, cache in parts]
        for (members, _), length in zip(parts, lengths, strict=True):
            for member in members:
                member.padding += max(lengths) - length
        self.members = [member for members, _ in parts for member in members]
        self.cache = parts[0][1] if len(parts) == 1 else joined([cache for _, cache in parts], lengths)

    def _keep(self, rows: Sequence[int]) -> None:
        if list(rows) == list(range(len(self.members))):
            return
        self.members = [self.members[row] for row in rows]
        if not rows:
            self.cache = None
            return
        unused = min(member.padding for member in self.members)
        self.cache = selected(self.cache, rows, unused)
        for member in self.members:
            member.padding -= unused

    def _pass(self, events: Sequence[dict[str, Any]]) -> None:
        by_hook: dict[int, tuple[Served, list[int]]] = {}
        for row, member in enumerate(self.members):
            if member.listed or member.run.acts:
                by_hook.setdefault(id(member.served), (member.served, []))[1].append(row)
        changes = {served.block: self._change(served, rows, events) for served, rows in by_hook.values()}
        places = [Place(member.position, member.padding) for member in self.members]
        logits = self.hooked.token([member.run.ids[-1] for member in self.members], self.cache, changes, places).cpu().numpy()
        for row, member in enumerate(self.members):
            member.run.logits = logits[row]
            member.position += 1

    def _change(self, served: Served, rows: list[int], events: Sequence[dict[str, Any]]) -> Any:
        members, sae = [self.members[row] for row in rows], served.sae
        if len(self.members) == 1 and members[0].run.acts and not members[0].listed:
            return members[0].run.alone

        def change(hidden: Tensor) -> Tensor:
            every = len(rows) == len(hidden)
            own = hidden[:, 0] if every else hidden[rows, 0]
            known = _known(sae, own, members, _open(own, members))
            parts = []
            for at, member in enumerate(members):
                row, run = own[at : at + 1], member.run
                parts.append(run.at_hook(row, False, known.only(at)) if run.acts else row)
            given = torch.cat(parts) if len(parts) > 1 else parts[0]
            listed = [at for at, member in enumerate(members) if member.listed]
            if listed:
                after = sae.encode(given[listed])
                for i, at in enumerate(listed):
                    indices, values = known.only(at)(own)
                    before = (indices[0], values[0])
                    events[rows[at]]["features"] = active_features(before, (after[0][i], after[1][i]), members[at].listed)
            if every:
                return given[:, None]
            out = hidden.clone()
            out[rows, 0] = given
            return out

        return change
