"""The arithmetic of attribution over one sequence's states: docs/attribution.md; the Python side of lib/engine/onnx/contributions.ts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.dictionaries import Dictionary

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Active:
    """Where features are active: one entry for each feature at each position, [N] each, by feature and then by position."""

    features: Tensor
    positions: Tensor
    activations: Tensor

    def part(self, sae: Dictionary, length: int, feature: int | None = None) -> Tensor:
        """Σ_f a_f · W_dec[f] at every position, float32 [length, D]; of one feature alone where it is named."""
        out = torch.zeros(length, sae.width, device=sae.w_dec.device)
        chosen = slice(None) if feature is None else self.features == feature
        features, positions, activations = self.features[chosen], self.positions[chosen], self.activations[chosen]
        for at in range(0, len(features), 4096):
            some = slice(at, at + 4096)
            out.index_add_(0, positions[some], activations[some, None] * sae.w_dec[features[some]].float())
        return out


def active_features(indices: Tensor, values: Tensor) -> Active:
    """From latents [T, n]."""
    positions, place = (values > 0).nonzero(as_tuple=True)
    features, activations = indices[positions, place], values[positions, place]
    # Two stable sorts: by position first, which they are in already.
    order = features.sort(stable=True).indices
    return Active(features[order], positions[order], activations[order].float())


@dataclass(frozen=True)
class Contributions:
    """`sums` [T]: of all active features at each position; `order`: features, the largest |estimate| first. `entries` holds [N] of each."""

    totals: dict[str, dict[str, float]]
    sums: Floats
    order: list[int]
    entries: tuple[Ints, Ints, Floats, Floats, npt.NDArray[np.bool_]]

    @property
    def active(self) -> int:
        return len(self.order)

    def _shares(self) -> tuple[Ints, Floats, Floats]:
        """Of each active feature, by index: its contributions on images and at all other positions."""
        features, _, _, values, on_image = self.entries
        found, group = np.unique(features, return_inverse=True)
        image, text = (np.bincount(group, np.where(on, values, 0.0), len(found)).astype(np.float64) for on in (on_image, ~on_image))
        return found, image, text

    def estimates(self) -> dict[int, float]:
        """Each active feature's."""
        found, image, text = self._shares()
        return dict(zip(found.tolist(), (image + text).tolist(), strict=True))

    def rows(self, limit: int) -> list[dict[str, Any]]:
        """The first `limit` features' rows of the wire contract."""
        features, positions, activations, values, _ = self.entries
        found, images, texts = self._shares()
        out = []
        for feature in self.order[:limit]:
            here = slice(int(np.searchsorted(features, feature)), int(np.searchsorted(features, feature, side="right")))
            place = int(np.searchsorted(found, feature))
            image, text = float(images[place]), float(texts[place])
            at = {"positions": positions[here].tolist(), "values": values[here].tolist()}
            largest = float(activations[here].max())
            out.append({"feature": feature, "estimate": image + text, "image": image, "text": text, "activation": largest, "at": at})
        return out


def contributions_of(hidden: Tensor, gradient: Tensor, active: Active, sae: Dictionary, on_image: Tensor) -> Contributions:
    """Every feature's contribution at every position, and what is left of gradient · state.

    Parameters
    ----------
    hidden, gradient : float32 [T, D]
    on_image : bool [T], on the CPU
    """
    with torch.inference_mode():
        parts = []
        for at in range(0, len(active.features), 4096):
            some = slice(at, at + 4096)
            along = (gradient[active.positions[some]].double() * sae.w_dec[active.features[some]].double()).sum(-1)
            parts.append(active.activations[some].double() * along)
        values = (torch.cat(parts) if parts else torch.zeros(0)).cpu().numpy().astype(np.float64)
        positions = active.positions.cpu().numpy()
        sums: Floats = np.asarray(np.bincount(positions, values, len(hidden)), np.float64)
        slope, bias = gradient.double(), sae.b_dec.double()
        left = hidden.double() - active.part(sae, len(hidden)).double() - bias
        whole, error, flat = ((slope * other).sum(-1).cpu().numpy() for other in (hidden.double(), left, bias))
    image = on_image.numpy()
    totals = {name: _parts(each, image) for name, each in (("whole", whole), ("features", sums), ("error", error), ("bias", flat))}
    features = active.features.cpu().numpy()
    entries = (features, positions, active.activations.cpu().numpy().astype(np.float64), values, image[positions])
    unordered = Contributions(totals, sums, [], entries)
    order = [feature for feature, _ in sorted(unordered.estimates().items(), key=lambda one: (-abs(one[1]), one[0]))]
    return Contributions(totals, sums, order, entries)


def _parts(each: Floats, image: npt.NDArray[np.bool_]) -> dict[str, float]:
    on, off = float(each[image].sum()), float(each[~image].sum())
    return {"total": on + off, "image": on, "text": off}
