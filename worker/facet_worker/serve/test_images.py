from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.serve.images import Picture, name_images, open_pictures


def encoded(image: Image.Image, kind: str, **more: object) -> str:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return base64.b64encode(file.getvalue()).decode()


def png_header(width: int, height: int) -> str:
    """A PNG that says its size and holds no pixel."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    rest = b"IDAT" + zlib.compress(b"")
    return base64.b64encode(file + struct.pack(">I", len(rest) - 4) + rest + struct.pack(">I", zlib.crc32(rest))).decode()


def code_of(data: str, limit: int = 10_000) -> str:
    with pytest.raises(FacetError) as caught:
        open_pictures([{"data": data}], limit)[0].pixels()
    return caught.value.code


def test_gives_the_very_pixels_of_a_lossless_file_and_lays_what_is_clear_on_white() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    for kind, more in (("PNG", {}), ("WEBP", {"lossless": True})):
        np.testing.assert_array_equal(Picture(encoded(Image.fromarray(pixels), kind, **more), 1).pixels(), pixels)
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    found = Picture(encoded(Image.fromarray(clear), "PNG"), 1).pixels()
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[1, 1].tolist() == [255, 255, 255]


def test_turns_a_photograph_as_it_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = np.zeros((8, 16, 3), np.uint8)
    photo[:, :8] = 255
    turned = Picture(encoded(Image.fromarray(photo), "JPEG", exif=exif, quality=95), 1).pixels()
    assert turned.shape == (16, 8, 3)
    assert turned[:6].min() > 200
    assert turned[10:].max() < 50


def test_refuses_by_the_header_what_has_too_many_pixels_alone_or_together() -> None:
    assert code_of(png_header(200, 51)) == "too_large"
    # Beyond what Pillow itself opens.
    assert code_of(png_header(60_000, 60_000), 10**10) == "too_large"
    # Within the limit, the same file gets as far as its pixels, of which it has none.
    assert code_of(png_header(200, 50)) == "unreadable_image"
    small = encoded(Image.new("RGB", (60, 90)), "PNG")
    assert len(open_pictures([{"data": small}], 10_000)) == 1
    with pytest.raises(FacetError, match="image 2 is 60 × 90"):
        open_pictures([{"data": small}] * 2, 10_000)


def test_says_what_is_wrong_with_a_file() -> None:
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)), "PNG")
    assert code_of(whole[:800]) == "unreadable_image"
    assert code_of("not base64!") == "unreadable_image"
    assert code_of("") == "unreadable_image"
    assert code_of(base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()) == "unreadable_image"
    assert code_of(encoded(Image.new("RGB", (4, 4)), "TIFF")) == "unsupported_image"
    assert code_of(encoded(Image.new("RGB", (4, 4)), "BMP")) == "unsupported_image"


def test_names_images_as_they_were_sent_and_in_their_order() -> None:
    first, second = {"sha256": "1" * 64}, {"sha256": "2" * 64}
    url = {"dataUrl": "data:image/png;base64,AAAA"}

    def request(*refs: dict[str, str]) -> dict[str, object]:
        return {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *({"type": "image", "image": ref} for ref in refs)]}]
        }

    asked = request(url, second)
    name_images(asked, [first, second])
    assert asked == request(first, second)
    for refs, sent in ([[first, second], [second, first]], [[first], []], [[], [first]]):
        with pytest.raises(FacetError) as caught:
            name_images(request(*refs), sent)
        assert caught.value.code == "invalid_request"
