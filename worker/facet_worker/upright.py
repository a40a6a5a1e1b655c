"""An opened picture as the model sees it: upright, in RGB, on white, with 8 bits a channel."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


def rgb(opened: Image.Image) -> Image.Image:
    """Turned as its EXIF says, transparency laid on white, 16 bits scaled to 8; of an animation the first frame. Throws what Pillow throws."""
    turned = ImageOps.exif_transpose(opened)
    if turned.mode == "I" or turned.mode.startswith("I;16"):
        # Pillow's own conversion cuts at 255, which makes such a picture white.
        return Image.fromarray(np.rint(np.asarray(turned).clip(0, 65_535) / 257).astype(np.uint8)).convert("RGB")
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        above = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return turned.convert("RGB")
