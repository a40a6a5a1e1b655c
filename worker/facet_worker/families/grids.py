"""Which positions of a prompt are image tokens and which grid each image has, one small adapter a family.

An adapter answers for each image its base grid's size and where among the image's own tokens the base grid begins; tokens of tiles at a higher
resolution and newline tokens are kept apart from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facet_worker.errors import FacetError
from facet_worker.planning import ImageGrid, Positions


@dataclass(frozen=True)
class Inputs:
    """A processed prompt: token ids [T], what the processor made of the images, the model's configuration, and the processor."""

    ids: Positions
    tensors: Mapping[str, Any]
    config: Any
    processor: Any
    images: int

    @property
    def image_token(self) -> int:
        token = getattr(self.config, "image_token_id", None)
        return int(token if token is not None else self.config.image_token_index)


Adapter = Callable[[Inputs], list[ImageGrid]]


def _runs(positions: Positions) -> list[Positions]:
    return [run for run in np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1) if len(run)]


def _unclear(inputs: Inputs, found: int) -> FacetError:
    return FacetError(f"The prompt's {found} image tokens do not fit its {inputs.images} images.", "engine_failed")


def split_images(inputs: Inputs, sizes: Sequence[int] | None = None) -> list[Positions]:
    """Each image's positions: by known sizes, else runs of image tokens, else equal parts. Throws `engine_failed` where none of these fits."""
    positions = np.flatnonzero(inputs.ids == inputs.image_token)
    if sizes is not None:
        if len(sizes) != inputs.images or sum(sizes) != len(positions):
            raise _unclear(inputs, len(positions))
        return np.split(positions, np.cumsum(sizes)[:-1]) if inputs.images else []
    runs = _runs(positions)
    if len(runs) == inputs.images:
        return runs
    if not inputs.images or len(positions) % inputs.images:
        raise _unclear(inputs, len(positions))
    return np.split(positions, inputs.images)


def _grid(positions: Positions, rows: int, cols: int) -> ImageGrid:
    if len(positions) < rows * cols:
        raise FacetError(f"An image has {len(positions)} tokens where a grid of {rows} × {cols} was expected.", "engine_failed")
    return ImageGrid(rows, cols, positions[: rows * cols], positions[rows * cols :])


def square(inputs: Inputs) -> list[ImageGrid]:
    """LLaVA, Gemma 3, PaliGemma: every image is one square grid."""
    grids = []
    for positions in split_images(inputs):
        side = math.isqrt(len(positions))
        if side * side != len(positions):
            raise FacetError(f"An image has {len(positions)} tokens, which are no square grid.", "engine_failed")
        grids.append(_grid(positions, side, side))
    return grids


def any_resolution(inputs: Inputs) -> list[ImageGrid]:
    """LLaVA-NeXT: the base grid first, then tiles with a newline token a row."""
    vision = inputs.config.vision_config
    side = int(vision.image_size) // int(vision.patch_size)
    sizes = None
    if len(_runs(np.flatnonzero(inputs.ids == inputs.image_token))) != inputs.images:
        shown = [tuple(int(x) for x in size) for size in inputs.tensors["image_sizes"]]
        sizes = list(inputs.processor._get_num_multimodal_tokens(image_sizes=shown)["num_image_tokens"])
    return [_grid(positions, side, side) for positions in split_images(inputs, sizes)]


def padded(inputs: Inputs) -> list[ImageGrid]:
    """LLaVA-OneVision: an image alone as in LLaVA-NeXT; several, each padded to a square, have a base grid and one newline token each."""
    vision = inputs.config.vision_config
    side = int(vision.image_size) // int(vision.patch_size)
    return [_grid(positions, side, side) for positions in split_images(inputs)]


def dynamic(inputs: Inputs) -> list[ImageGrid]:
    """Qwen-VL: each image has the grid of its own shape, patches merged."""
    merge = int(inputs.config.vision_config.spatial_merge_size)
    shapes = [(int(h) // merge, int(w) // merge) for _, h, w in inputs.tensors["image_grid_thw"]]
    parts = split_images(inputs, [rows * cols for rows, cols in shapes])
    return [_grid(positions, *shape) for positions, shape in zip(parts, shapes, strict=True)]


def tiled(inputs: Inputs) -> list[ImageGrid]:
    """Idefics3 and SmolVLM: tiles, each a run of its own, and at last the whole image, which is the base grid."""
    tokenizer = inputs.processor.tokenizer
    marker = tokenizer.convert_tokens_to_ids(getattr(inputs.processor, "global_image_token", "<global-img>"))
    grids: list[ImageGrid] = []
    tiles: list[Positions] = []
    for run in _runs(np.flatnonzero(inputs.ids == inputs.image_token)):
        if run[0] == 0 or inputs.ids[run[0] - 1] != marker:
            tiles.append(run)
            continue
        side = math.isqrt(len(run))
        extra = np.concatenate(tiles) if tiles else np.zeros(0, np.int64)
        grids.append(ImageGrid(side, side, run[: side * side], extra))
        tiles = []
    if len(grids) != inputs.images or tiles:
        raise _unclear(inputs, int((inputs.ids == inputs.image_token).sum()))
    return grids


ADAPTERS: dict[str, Adapter] = {
    "llava": square,
    "gemma3": square,
    "paligemma": square,
    "llava_next": any_resolution,
    "llava_onevision": padded,
    "qwen2_5_vl": dynamic,
    "qwen3_vl": dynamic,
    "idefics3": tiled,
    "smolvlm": tiled,
}


def adapter_of(model_type: str) -> Adapter:
    """The family's adapter. Throws `engine_unavailable` for a family that has none."""
    if model_type not in ADAPTERS:
        raise FacetError(
            f"Models of type {model_type!r} are not known here.",
            "engine_unavailable",
            fix=f"Serve one of {', '.join(sorted(ADAPTERS))}.",
        )
    return ADAPTERS[model_type]
