"""Pictures of a request: how large they are by their headers first, their pixels only when it is their turn."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.upright import rgb

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class Picture:
    """An image's file, of which so far only the header was read. `width` and `height` are as stored."""

    def __init__(self, data: str, number: int) -> None:
        """`data`: base64. Throws `unreadable_image` or `unsupported_image`, which say the picture's number."""
        self.number = number
        try:
            self.bytes = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise FacetError(f"Image {number} is not base64.", "unreadable_image") from None
        with self._open() as opened:
            self.width, self.height = opened.size

    def _open(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                # Pillow's own limit only warns where ours is larger.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                return Image.open(io.BytesIO(self.bytes), formats=FORMATS)
        except Image.DecompressionBombError:
            raise FacetError(f"Image {self.number} has too many pixels to be opened.", "too_large", fix="Send a smaller image.") from None
        except Exception:
            known = self.bytes[:4] in (b"II*\0", b"MM\0*", b"%PDF") or self.bytes[:2] == b"BM" or self.bytes[4:8] == b"ftyp"
            if known:
                raise FacetError(f"Image {self.number} is in a format that is not read here.", "unsupported_image") from None
            raise FacetError(f"Image {self.number} is not a picture in a format that is known here.", "unreadable_image") from None

    def pixels(self) -> Pixels:
        """[height, width, 3]: turned as its EXIF says, transparency laid on white. Throws `unreadable_image` for what is not whole."""
        try:
            with self._open() as opened:
                return np.asarray(rgb(opened))
        except FacetError:
            raise
        except MemoryError:
            raise
        except Exception:
            raise FacetError(f"Image {self.number} is damaged or not whole.", "unreadable_image") from None


class Pictures:
    """A request's pictures, decoded when called; `sizes` are their heights and widths as stored."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.pictures = pictures
        self.sizes = [(picture.height, picture.width) for picture in pictures]

    def __call__(self) -> list[Pixels]:
        return [picture.pixels() for picture in self.pictures]


def open_pictures(images: Sequence[Mapping[str, str]], limit: int) -> list[Picture]:
    """Headers alone. Throws as `Picture` does, and `too_large` where all together have more than `limit` pixels."""
    pictures, total = [], 0
    for number, image in enumerate(images, 1):
        picture = Picture(image["data"], number)
        total += picture.width * picture.height
        if total > limit:
            raise FacetError(
                f"The request's images have more than {limit:,} pixels together: image {number} is {picture.width} × {picture.height}.",
                "too_large",
                fix="Send smaller images.",
            )
        pictures.append(picture)
    return pictures


def name_images(request: dict[str, Any], images: Sequence[Mapping[str, str]]) -> None:
    """Makes every image part of the messages name the hash that its file was sent under, which is what receipts say. Throws `invalid_request`."""
    parts = [part for message in request["messages"] for part in message["content"] if part["type"] == "image"]
    if len(parts) != len(images):
        raise FacetError(f"The messages name {len(parts)} images and {len(images)} were sent.", "invalid_request")
    for number, (part, image) in enumerate(zip(parts, images, strict=True), 1):
        if part["image"].get("sha256", image["sha256"]) != image["sha256"]:
            raise FacetError(f"Image {number} was sent under another hash than the messages name.", "invalid_request")
        part["image"] = {"sha256": image["sha256"]}
