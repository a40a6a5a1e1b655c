"""A picture as the paper shows it to an explainer: squashed to a square, dark wherever the feature is silent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 336
SILENT = 1e-5
DARK = 224 / 255


def upsampled(values: npt.NDArray[np.float32], side: int = SIDE) -> npt.NDArray[np.float32]:
    """A map [rows, cols] bilinearly at [side, side], cells' middles where they lie in the picture, edges held."""
    return np.asarray(Image.fromarray(values.astype(np.float32), "F").resize((side, side), Image.Resampling.BILINEAR), np.float32)


def masked(picture: Image.Image, values: npt.NDArray[np.float32], side: int = SIDE) -> Image.Image:
    """The picture with black laid over it at 224/255 where the map is below 1e-5."""
    pixels = np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR), np.float32)
    keep = np.where(upsampled(values, side) < SILENT, 1 - DARK, 1.0)[..., None]
    return Image.fromarray(np.rint(pixels * keep).astype(np.uint8))
