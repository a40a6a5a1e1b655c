"""Whether a dictionary gives back the states of the model that it is put on, measured before anything is served.

A loader can turn, scale or drop a tensor and every clamp would still run. What tells is the reconstruction of the hook's own states on a short text
and a generated picture: where it is worse than always answering their mean, the dictionary was read wrongly or is another hook's or model's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.engine import Pixels
from facet_worker.errors import FacetError

FLAG = "--unchecked-dictionary"
_TEXT = (
    "What do you see in this picture? There is a red circle on the left, a blue square on the right and a yellow sun above the green grass. "
    "A dog and a cat look at the water while two people walk home. Say in one sentence what it shows, where each thing is and how it feels."
)
# A few positions of every model hold states tens of times as long as all others; they would decide the sums alone.
_FAR = 8.0


def probe_picture(size: int) -> Pixels:
    """A picture with soft colours, edges and grain, uint8 [size, size, 3]; the same always."""
    y, x = np.mgrid[0:size, 0:size] / max(size - 1, 1)
    picture = np.stack([0.45 + 0.4 * x, 0.75 - 0.4 * y, 0.5 + 0.35 * np.sin(5 * x + 3 * y)], -1)
    for (row, col, radius), colour in {
        (0.3, 0.25, 0.17): (0.9, 0.1, 0.12),
        (0.2, 0.8, 0.12): (0.98, 0.85, 0.1),
        (0.75, 0.6, 0.2): (0.2, 0.55, 0.15),
    }.items():
        picture[(y - row) ** 2 + (x - col) ** 2 < radius**2] = colour
    picture[(abs(y - 0.55) < 0.12) & (abs(x - 0.82) < 0.12)] = (0.1, 0.2, 0.8)
    picture += np.random.default_rng(0).normal(0, 0.03, picture.shape)
    return np.asarray(np.clip(picture * 255, 0, 255), np.uint8)


@dataclass(frozen=True)
class Reconstruction:
    """Fractions of variance unexplained, of image and of text positions apart: 0 exact, 1 as good as their mean.

    Attributes
    ----------
    positions : how many of each were measured
    left_out : positions that were not, being the first or many times as long as the others
    """

    image: float
    text: float
    positions: tuple[int, int]
    left_out: int

    @property
    def fails(self) -> bool:
        """Worse than the mean on both: a dictionary of images alone need not know text, nor the other way round."""
        measured = [fvu for fvu in (self.image, self.text) if not math.isnan(fvu)]
        return not any(fvu < 1 for fvu in measured)

    def to_json(self) -> dict[str, Any]:
        """As `info` tells it; null where nothing could be measured."""
        image, text = (fvu if math.isfinite(fvu) else None for fvu in (self.image, self.text))
        return {"fvuImage": image, "fvuText": text, "imagePositions": self.positions[0], "textPositions": self.positions[1]}


def unexplained(sae: Dictionary, hidden: Tensor) -> float:
    """Σ ‖x − x̂‖² / Σ ‖x − mean‖² over hidden states [R, D]; NaN for fewer than two."""
    if len(hidden) < 2:
        return math.nan
    x = hidden.float()
    error = (x - sae.decode(*sae.encode(x))).double().square().sum()
    share = float(error / (x - x.mean(0)).double().square().sum().clamp(min=1e-30))
    return share if math.isfinite(share) else math.inf


def measure(sae: Dictionary, hidden: Tensor, image: npt.NDArray[np.bool_]) -> Reconstruction:
    """Of one prompt's hidden states [T, D], of which `image` [T] are an image's."""
    norms = hidden.float().norm(dim=-1)
    usual = norms <= _FAR * norms.median()
    usual[0] = False
    on_image = torch.from_numpy(image).to(hidden.device)
    parts = [hidden[usual & on_image], hidden[usual & ~on_image]]
    return Reconstruction(unexplained(sae, parts[0]), unexplained(sae, parts[1]), (len(parts[0]), len(parts[1])), int((~usual).sum()))


def probe_messages() -> list[dict[str, Any]]:
    """The probe as a conversation of one turn."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": _TEXT}]}]


def refusal(hook: str, found: Reconstruction) -> FacetError:
    """What is said where a dictionary fails."""
    return FacetError(
        f"The dictionary for {hook} does not give back the model's states there: it leaves {_times(found.image)} of the variance unexplained on "
        f"{found.positions[0]} image positions and {_times(found.text)} on {found.positions[1]} text positions, where 1 is as good as their mean.",
        "engine_unavailable",
        fix=f"Check that it was trained on this model and hook and that no tensor is turned or scaled, or start with {FLAG} to serve it all the same.",
    )


def _times(fvu: float) -> str:
    return "an unknown share" if math.isnan(fvu) else f"{fvu:.3g}"
