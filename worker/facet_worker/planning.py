"""What a clamp means: which positions its scope covers, and when it is refused; the same rules as lib/core/clamp.ts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facet_worker.errors import FacetError

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
KINDS = ("image", "prompt", "generated")


@dataclass(frozen=True)
class ImageGrid:
    """Where one image lies in a prompt.

    Attributes
    ----------
    cells : [rows · cols], position of each cell of the base grid, row by row
    extra : further positions of the same image: tiles at a higher resolution and newline tokens
    """

    rows: int
    cols: int
    cells: Positions
    extra: Positions = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Layout:
    """A prompt as the model sees it, images expanded.

    Attributes
    ----------
    image : bool [length], positions that hold any part of an image
    template : bool [length], markers of the chat template
    sink : bool [length], positions that take up attention whatever is asked (the first one)
    """

    length: int
    images: tuple[ImageGrid, ...]
    image: Mask
    template: Mask
    sink: Mask


@dataclass(frozen=True)
class PlannedClamp:
    """`positions`: prompt positions covered, ascending; `generated`: whether generated tokens are as well; `unit`: raw activation of one unit of value."""

    intervention: Mapping[str, Any]
    unit: float
    positions: Positions
    generated: bool

    @property
    def feature(self) -> int:
        return int(self.intervention["feature"])


@dataclass(frozen=True)
class ClampPlan:
    """The clamps in the request's order."""

    layout: Layout
    clamps: tuple[PlannedClamp, ...] = ()

    @property
    def generated(self) -> list[int]:
        """Indices of the clamps that cover generated tokens."""
        return [i for i, clamp in enumerate(self.clamps) if clamp.generated]


def scope_positions(scope: Mapping[str, Any], layout: Layout) -> Positions:
    """Prompt positions that a scope covers, ascending and each once."""
    kind = scope["type"]
    if kind == "all":
        return np.arange(layout.length)
    if kind == "image":
        return np.flatnonzero(layout.image)
    if kind == "prompt":
        return np.flatnonzero(~layout.image)
    if kind == "region":
        return np.sort(layout.images[scope["image"]].cells[np.unique(scope["cells"])])
    return np.zeros(0, np.int64)


def _nowhere(clamp: Mapping[str, Any], layout: Layout, mode: str, num_latents: int, max_tokens: int) -> str | None:
    scope = clamp["scope"]
    kind = scope["type"]
    if clamp["feature"] >= num_latents:
        return f"the dictionary has features 0 to {num_latents - 1}"
    if kind == "image" and not layout.images:
        return "its scope is the image and the prompt has none"
    if kind == "prompt" and bool(layout.image.all()):
        return "the prompt has no position outside the image"
    if kind == "generated" and mode == "reconstruct":
        return "in mode reconstruct clamps act on the prompt only, as in the paper"
    # The last token is read off the output and never enters the model, so a single one passes no hook.
    if kind == "generated" and max_tokens < 2:
        return "with one token to write, no generated token passes through the hook"
    if kind == "region":
        if scope["image"] >= len(layout.images):
            return f"its region lies on image {scope['image'] + 1} and the prompt has {len(layout.images) or 'none'}"
        grid = layout.images[scope["image"]]
        outside = next((cell for cell in scope["cells"] if cell >= grid.rows * grid.cols), None)
        if outside is not None:
            return f"cell {outside} lies outside the image's {grid.rows} × {grid.cols} grid"
    return None


def _unit(clamp: Mapping[str, Any], units: Mapping[int, float]) -> float:
    if clamp["unit"] == "raw":
        return 1.0
    unit = units.get(clamp["feature"], 0.0)
    if clamp["op"] in ("set", "add") and not unit > 0:
        raise FacetError(
            f"Feature {clamp['feature']} never fired on the catalogue, so it has no maximum to measure a strength by.",
            "invalid_request",
            fix="Give the value in raw activation instead.",
        )
    return max(unit, 0.0)


def plan_clamps(
    clamps: Sequence[Mapping[str, Any]], layout: Layout, mode: str, num_latents: int, max_tokens: int, units: Mapping[int, float]
) -> ClampPlan:
    """Scopes become positions and units become activations.

    Raises
    ------
    FacetError : `clamp_nowhere` with the reason, `clamp_overlap` for two clamps of one feature at one position, `invalid_request` for a unit
        that does not exist.
    """
    planned: list[PlannedClamp] = []
    for clamp in clamps:
        reason = _nowhere(clamp, layout, mode, num_latents, max_tokens)
        if reason:
            raise FacetError(f"The clamp on feature {clamp['feature']} would be applied nowhere: {reason}.", "clamp_nowhere")
        generated = mode == "delta" and clamp["scope"]["type"] in ("generated", "all")
        new = PlannedClamp(clamp, _unit(clamp, units), scope_positions(clamp["scope"], layout), generated)
        for other in planned:
            meet = (other.generated and generated) or len(np.intersect1d(other.positions, new.positions))
            if other.feature == new.feature and meet:
                raise FacetError(f"Feature {new.feature} is clamped twice at the same positions.", "clamp_overlap")
        planned.append(new)
    return ClampPlan(layout, tuple(planned))


def sweep_points(request: Mapping[str, Any]) -> list[tuple[str, dict[str, Any], list[Mapping[str, Any]]]]:
    """(arm, its part of the receipt, its clamps) for each point of the request's sweep. Throws `invalid_request`."""
    sweep = request.get("sweep")
    if not sweep:
        return []
    clamps, at = request["interventions"], sweep["clamp"]
    if at >= len(clamps):
        has = len(clamps) or "none"
        raise FacetError(f"The sweep is of clamp {at} and the request has {has}; clamps count from 0.", "invalid_request")
    if clamps[at]["op"] == "ablate":
        raise FacetError(
            f"The sweep's clamp {at} ablates feature {clamps[at]['feature']}, and an ablation has no strength.",
            "invalid_request",
            fix="Sweep a clamp that sets, scales or adds.",
        )
    return [
        (
            f"sweep:{point}",
            {"point": point, "clamp": at, "value": value},
            [{**c, "value": value} if i == at else c for i, c in enumerate(clamps)],
        )
        for point, value in enumerate(sweep["values"])
    ]
