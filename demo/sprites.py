"""Openly licensed vector emoji, rendered to premultiplied RGBA sprites at the size asked for."""

from __future__ import annotations

import functools
import io
import json
import os
from pathlib import Path
from typing import Any

import resvg_py
from PIL import Image, ImageDraw, ImageFont

from demo.classes import CLASSES, ENTITIES

TRAIN_STYLES = ("noto", "twemoji")
EXTRA_STYLES = ("fluent-emoji-flat",)
LEVELS_PX = (48, 64, 96, 128, 192, 256)
ICONS_ENV = "FACET_ICONS"

# Country flags are drawn from their geometry: (direction, colours) bands, or a disc or cross on a field.
_BANDS = {
    "france": ("v", "#0055a4", "#ffffff", "#ef4135"),
    "germany": ("h", "#1a1a1a", "#dd0000", "#ffce00"),
    "italy": ("v", "#009246", "#ffffff", "#ce2b37"),
    "ukraine": ("h", "#0057b7", "#ffd700"),
    "poland": ("h", "#ffffff", "#dc143c"),
    "nigeria": ("v", "#008751", "#ffffff", "#008751"),
    "belgium": ("v", "#1a1a1a", "#fdda24", "#ef3340"),
}


class ArtMissing(RuntimeError):
    """An art set is not installed."""


def _icons_path(style: str) -> Path:
    roots = [Path("node_modules/@iconify-json")]
    if os.environ.get(ICONS_ENV):
        roots.append(Path(os.environ[ICONS_ENV]))
        roots.append(Path(os.environ[ICONS_ENV]) / "node_modules/@iconify-json")
    for root in roots:
        path = root / style / "icons.json"
        if path.is_file():
            return path
    raise ArtMissing(
        f"the art set {style!r} is not installed: run `npm install`, or point {ICONS_ENV} at a folder that holds {style}/icons.json"
    )


@functools.cache
def _set(style: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_icons_path(style).read_text())
    return data


def _icon_svg(style: str, name: str) -> str | None:
    data = _set(style)
    icons, aliases = data["icons"], data.get("aliases", {})
    while name not in icons:
        if name not in aliases:
            return None
        name = aliases[name]["parent"]
    icon = icons[name]
    w, h = icon.get("width", data.get("width", 16)), icon.get("height", data.get("height", 16))
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{w}" height="{h}" viewBox="0 0 {w} {h}">{icon["body"]}</svg>'


def _flag_svg(country: str) -> str:
    x, y, w, h = 2.0, 16.0, 96.0, 68.0
    if country in _BANDS:
        direction, *colours = _BANDS[country]
        n = len(colours)
        parts = []
        for i, colour in enumerate(colours):
            bx, by, bw, bh = (x + w * i / n, y, w / n, h) if direction == "v" else (x, y + h * i / n, w, h / n)
            parts.append(f'<rect x="{bx}" y="{by}" width="{bw}" height="{bh}" fill="{colour}"/>')
        body = "".join(parts)
    elif country == "japan":
        body = f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff"/><circle cx="50" cy="50" r="20" fill="#bc002d"/>'
    elif country == "sweden":
        body = (
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#006aa7"/>'
            f'<rect x="30" y="{y}" width="13" height="{h}" fill="#fecc02"/><rect x="{x}" y="43.5" width="{w}" height="13" fill="#fecc02"/>'
        )
    elif country == "switzerland":
        body = (
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#d52b1e"/>'
            '<rect x="43.5" y="29" width="13" height="42" fill="#fff"/><rect x="29" y="43.5" width="42" height="13" fill="#fff"/>'
        )
    else:
        raise KeyError(country)
    border = f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="#555" stroke-width="2"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100" height="100">{body}{border}</svg>'


def _sign(text: str, style: str, size_px: int) -> Image.Image:
    """A plain board with a word: dark on white with a frame, or light on dark without one."""
    scale = 2
    s = size_px * scale
    board, ink, edge, stroke = {
        "noto": ((252, 252, 248), (24, 26, 34), (90, 92, 100), 0.0),
        "twemoji": ((38, 58, 92), (255, 255, 255), (255, 255, 255), 0.012),
    }.get(style, ((250, 204, 70), (30, 26, 20), (60, 50, 30), 0.006))
    image = Image.new("RGBA", (s, s), (*board, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(
        (0.01 * s, 0.2 * s, 0.99 * s, 0.8 * s), radius=0.06 * s, fill=(*board, 255), outline=(*edge, 255), width=max(1, round(0.025 * s))
    )
    font_px = 0.5 * s
    font = ImageFont.load_default(font_px)
    left, _top, right, _bottom = draw.textbbox((0, 0), text, font=font)
    font_px *= min(1.0, 0.86 * s / (right - left))
    font = ImageFont.load_default(font_px)
    draw.text((s / 2, s / 2), text, font=font, fill=(*ink, 255), anchor="mm", stroke_width=round(stroke * s), stroke_fill=(*ink, 255))
    return image.resize((size_px, size_px), Image.Resampling.BOX)


def has_sprite(name: str, style: str) -> bool:
    """Whether a style draws this sprite."""
    if name.startswith("sign:"):
        return True
    if name.startswith("flag-"):
        return style in TRAIN_STYLES
    return _icon_svg(style, name) is not None


@functools.lru_cache(maxsize=8192)
def sprite(name: str, style: str, size_px: int) -> Image.Image:
    """The sprite as a premultiplied `RGBa` image of size_px × size_px."""
    if name.startswith("sign:"):
        return _sign(name[5:], style, size_px).convert("RGBa")
    drawn_here = name.startswith("flag-") and style != "twemoji"
    svg = _flag_svg(name[5:]) if drawn_here else _icon_svg(style, name)
    if svg is None:
        raise ArtMissing(f"the art set {style!r} has no icon {name!r}")
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size_px, height=size_px)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    if image.size != (size_px, size_px):  # not square: centre it
        image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
        square = Image.new("RGBA", (size_px, size_px))
        square.paste(image, ((size_px - image.width) // 2, (size_px - image.height) // 2))
        image = square
    return image.convert("RGBa")


def level_for(width_px: float) -> int:
    """The smallest prepared size that is at least the width asked for (or the largest there is)."""
    return next((level for level in LEVELS_PX if level >= width_px), LEVELS_PX[-1])


def missing_sprites(style: str) -> list[str]:
    """Names of the entities that a style does not draw."""
    return [e.sprite_name() for e in ENTITIES if not has_sprite(e.sprite_name(), style)]


def drawable_classes(style: str) -> frozenset[int]:
    """Indices of the classes of which a style draws every entity."""
    bad = {e.cls for e in ENTITIES if not has_sprite(e.sprite_name(), style)}
    return frozenset(c.index for c in CLASSES if c.index not in bad)
