"""What it takes to make a thing go away: which features have to be ablated on its patches, beside as many that happen to fire there.

An object's patch holds some 79 active features, of which three or four are its class's own. Ablating those alone leaves the rest to tell the class, so the
sets below go from them to everything that fires on the object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from demo.catalogue import Catalogue
from demo.claims import Truth
from demo.classes import CLASSES
from demo.steering_trials import Mask, names, share, well_formed
from facet_worker.steer import Asker, Prefix

BATCH = 32
COUNTS = (4, 8, 16, 32)
TURNED = (1.0, 2.0)
TOUCHED = 0.02  # of a cell, from which on an object is on it at all: neighbours of its outline tell it too


@dataclass(frozen=True)
class Shown:
    """An image with one object of a class and the cells that it touches."""

    image: int
    cls: int
    cells: Mask


def shown(catalogue: Catalogue, classes: list[int], images: int) -> list[Shown]:
    """The first `images` images of each class that hold exactly one of its things."""
    out = []
    for cls in classes:
        found = [i for i, s in enumerate(catalogue.scenes) if sum(o.cls == cls for o in s.objects) == 1]
        for i in found[:images]:
            which = next(n for n, o in enumerate(catalogue.scenes[i].objects) if o.cls == cls)
            out.append(Shown(i, cls, Truth(catalogue.scenes[i]).coverage[which] > TOUCHED))
    return out


def writing(asker: Asker) -> Tensor:
    """How much more each feature's decoder row writes a class's word than the mean class's, float32 [L, classes]: W_dec · norm · unembedding."""
    model = asker.checkpoint.model
    words = asker.checkpoint.tokenizer.convert_tokens_to_ids([c.name.split()[-1] for c in CLASSES])
    weights = (asker.sae.w_dec * model.model.language_model.norm.weight) @ model.lm_head.weight[words].T
    out: Tensor = weights - weights.mean(1, keepdim=True)
    return out.detach()


Choice = Callable[[Shown, Tensor], Tensor]  # (what is shown, activations [cells of the object, L]) → features int64 [n]


class Ablations:
    """Captions of images with some features taken away on the object's cells."""

    def __init__(
        self, asker: Asker, catalogue: Catalogue, own: dict[int, list[int]], alive: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        self.asker, self.catalogue, self.own, self.alive, self.rng = asker, catalogue, own, alive, rng
        self.writes = writing(asker)

    def _own(self, s: Shown, _: Tensor) -> Tensor:
        return torch.tensor(self.own[s.cls], dtype=torch.long)

    def _random(self, s: Shown, _: Tensor) -> Tensor:
        return torch.from_numpy(self.rng.choice(self.alive, len(self.own[s.cls])))

    def _everything(self, _: Shown, acts: Tensor) -> Tensor:
        return (acts.sum(0) > 0).nonzero()[:, 0]

    def _writers(self, count: int) -> Choice:
        def choose(s: Shown, acts: Tensor) -> Tensor:
            weight, index = (acts.sum(0) * self.writes[:, s.cls]).topk(count)
            return index[weight > 0]

        return choose

    def _firing(self, count: int) -> Choice:
        def choose(_: Shown, acts: Tensor) -> Tensor:
            there = (acts.sum(0) > 0).nonzero()[:, 0]
            return there[torch.from_numpy(self.rng.permutation(len(there))[:count].astype(np.int64))]

        return choose

    def _captions(
        self, jobs: list[Shown], prefixes: list[Prefix], choose: Choice, factor: float, question: str, limit: int
    ) -> tuple[list[str], float]:
        """Captions after factor · a·W_dec of the chosen features was taken away, and how many features that were in the mean."""
        out: list[str] = []
        counts = []
        for b, prefix in enumerate(prefixes):
            hidden = prefix.hidden.clone()
            for r, s in enumerate(jobs[b * BATCH : (b + 1) * BATCH]):
                where = torch.from_numpy(s.cells).nonzero()[:, 0] + self.asker.lead
                acts = self.asker.sae.activations(hidden[r, where])
                features = choose(s, acts)
                counts.append(len(features))
                hidden[r, where] -= factor * (acts[:, features] @ self.asker.sae.w_dec[features])
            out += self.asker.ask(prefix.low, self.asker.open(hidden), question, limit)
        return out, float(np.mean(counts))

    @torch.inference_mode()
    def measure(self, images: int, question: str, limit: int) -> dict[str, Any]:
        """One row a set of features: of the captions that name the class, how many no longer do, and with the control how many.

        The control of the class's own features are as many random live ones; of those that write its name, as many of those that fire on the object.
        """
        jobs = shown(self.catalogue, sorted(self.own), images)
        prefixes = [self.asker.read(self.catalogue.pixels[[s.image for s in jobs[b : b + BATCH]]]) for b in range(0, len(jobs), BATCH)]

        def caption(choose: Choice, factor: float = 1.0) -> tuple[list[str], float]:
            return self._captions(jobs, prefixes, choose, factor, question, limit)

        plain, _ = caption(lambda _, __: torch.zeros(0, dtype=torch.long))
        before = [n for n, (text, s) in enumerate(zip(plain, jobs, strict=True)) if names(text, s.cls)]

        def gone(texts: list[str]) -> dict[str, float]:
            return share(sum(not names(texts[n], jobs[n].cls) for n in before), len(before))

        def row(what: str, choose: Choice, control: Choice | None, factor: float = 1.0) -> dict[str, Any]:
            texts, count = caption(choose, factor)
            beside = None if control is None else gone(caption(control, factor)[0])
            return {
                "what": what, "features": count, "gone": gone(texts), "gone_control": beside, "well_formed": share(sum(map(well_formed, texts)), len(texts)),
            }  # fmt: skip

        rows = [row("own", self._own, self._random)]
        rows += [row(f"own ×-{f:g}", self._own, self._random, 1 + f) for f in TURNED]
        rows += [row(f"writers {n}", self._writers(n), self._firing(n)) for n in COUNTS]
        rows.append(row("everything", self._everything, None))
        return {"classes": len(self.own), "images": len(jobs), "named_before": share(len(before), len(jobs)), "rows": rows}
