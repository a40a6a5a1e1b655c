"""The studied model cut at the hook: a picture is read once for all questions about it, and once for all clamps on it. For thousands of short questions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.sae import TopKSae
from facet_worker.split import Caches
from facet_worker.steer import Asker, Prefix
from facet_worker.studied import Said, Steered, SteerJob, StudiedModel, pixels_of

Key = TypeVar("Key", bound=Hashable)

CUT = " …"
"""How `Asker` ends an answer that was cut off."""


def _grouped(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Of each key the places where it stands, in order of its first."""
    out: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        out.setdefault(key, []).append(place)
    return out


class SplitStudied(StudiedModel):
    """What `StudiedModel` answers, by the same arithmetic in float32, for a small LLaVA in memory. `batch` pictures or clamps go through together."""

    def __init__(self, checkpoint: Checkpoint, layer: int, sae: TopKSae, name: str, max_tokens: int = 48, batch: int = 48) -> None:
        self.asker, self.name, self.max_tokens, self.batch = Asker(checkpoint, layer, sae), name, max_tokens, batch
        self.side = checkpoint.image_size

    def _pixels(self, picture: Pixels) -> npt.NDArray[np.uint8]:
        if picture.shape[:2] == (self.side, self.side):
            return picture
        return np.asarray(Image.fromarray(picture).resize((self.side, self.side), Image.Resampling.BILINEAR))

    def _read(self, pictures: Sequence[Pixels]) -> Prefix:
        return self.asker.read(np.stack([self._pixels(picture) for picture in pictures]))

    def _ask(self, low: Caches, up: Caches, question: str, limit: int) -> list[tuple[str, str]]:
        """(text, finish) of every row."""
        found = self.asker.ask(low, up, question, limit)
        return [(said.removesuffix(CUT), "length" if said.endswith(CUT) else "stop") for said in found]

    def fires(self, picture: Pixels) -> frozenset[int]:
        """Every feature that fires anywhere on a picture."""
        with torch.inference_mode():
            indices, values = self.asker.sae.encode(self._read([picture]).hidden[0, self.asker.lead :])
        return frozenset(indices[values > 0].tolist())

    @torch.inference_mode()
    def images(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Embeddings [n, D]: the mean of what its vision tower gives the language model for each picture's patches."""
        pixels = np.stack([self._pixels(pixels_of(picture)) for picture in pictures])
        return np.asarray(self.asker.split.vision(self.asker.checkpoint.pixels(pixels)).mean(1), np.float32)

    def text(self, words: str) -> npt.NDArray[np.float32]:
        """Throws `invalid_request`: it embeds no words beside pictures, so there is no CLIP score by it."""
        raise FacetError("The studied model embeds pictures only.", "invalid_request", fix="Use a CLIP checkpoint for the CLIP score.")

    def answers(self, asked: Sequence[tuple[Pixels, str]], max_tokens: int = 16) -> list[str | FacetError]:
        """The model's own answer to each question about its picture."""
        out: list[str | FacetError] = [""] * len(asked)
        pictures = list(_grouped(picture.tobytes() for picture, _ in asked).values())
        for start in range(0, len(pictures), self.batch):
            part = pictures[start : start + self.batch]
            prefix = self._read([asked[places[0]][0] for places in part])
            up = self.asker.open(prefix.hidden)
            places = [(row, place) for row, owned in enumerate(part) for place in owned]
            for question, members in _grouped(asked[place][1] for _, place in places).items():
                rows = torch.tensor([places[member][0] for member in members])
                said = self._ask([c[rows] for c in prefix.low], [c[rows] for c in up], question, max_tokens)
                for member, (text, _) in zip(members, said, strict=True):
                    out[places[member][1]] = text
        return out

    def steered(self, jobs: Sequence[SteerJob]) -> list[Steered | FacetError]:
        """What the model says without and with each job's clamp on the whole picture."""
        out: list[Steered | FacetError] = [FacetError("Nothing was asked.")] * len(jobs)
        for owned in _grouped(job.picture.tobytes() for job in jobs).values():
            prefix = self._read([jobs[owned[0]].picture])
            calm = self.asker.open(prefix.hidden)
            questions = {jobs[place].question for place in owned}
            plain = {q: Said(None, *self._ask(prefix.low, calm, q, self.max_tokens)[0], True) for q in questions}
            arms = _grouped((jobs[place].feature, value, jobs[place].unit) for place in owned for value in jobs[place].values)
            said: dict[tuple[int, float, float, str], Said] = {}
            every = list(arms)
            for start in range(0, len(every), self.batch):
                self._clamped(prefix, every[start : start + self.batch], questions, said)
            for place in owned:
                job = jobs[place]
                with_it = tuple(said[job.feature, value, job.unit, job.question] for value in job.values)
                out[place] = Steered(plain[job.question], with_it)
        return out

    def _clamped(
        self, prefix: Prefix, arms: Sequence[tuple[int, float, float]], questions: Iterable[str], said: dict[tuple[int, float, float, str], Said]
    ) -> None:  # fmt: skip
        rows = prefix.rows(torch.zeros(len(arms), dtype=torch.long))
        cells = torch.ones(len(arms), prefix.hidden.shape[1] - self.asker.lead, dtype=torch.bool)
        values: Tensor = torch.tensor([value * unit for _, value, unit in arms], dtype=torch.float32)
        with torch.inference_mode():
            hidden = self.asker.set_on_cells(rows.hidden, torch.tensor([feature for feature, _, _ in arms]), values, cells)
        changed = (hidden != rows.hidden).flatten(1).any(1).tolist()
        up = self.asker.open(hidden)
        for question in questions:
            for arm, answer, moved in zip(arms, self._ask(rows.low, up, question, self.max_tokens), changed, strict=True):
                said[*arm, question] = Said(arm[1], *answer, moved)
