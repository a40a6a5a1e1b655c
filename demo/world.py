"""Scenes whose truth is known exactly: sampled from a seed, drawn at any size, with masks and per-patch truth."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from demo.classes import (
    BACKGROUNDS,
    CLASS_BY_NAME,
    CLASSES,
    ENTITY_INDEX,
    KINDS,
    PLACES,
    SHAPE_COLOURS,
    SIGN_WORDS,
    Entity,
    ObjectClass,
)
from demo.sprites import TRAIN_STYLES, drawable_classes, level_for, sprite

__all__ = [
    "CLASSES",
    "CLASS_BY_NAME",
    "HELDOUT_PAIRS",
    "PLACES",
    "SPLITS",
    "Background",
    "ObjectClass",
    "ObjectTruth",
    "Scene",
    "blank_scene",
    "draw",
    "masks",
    "patch_objects",
    "patch_truth",
    "render",
    "sample_scene",
]  # fmt: skip

Split = Literal["train", "val", "test", "catalogue", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "catalogue", "heldout")

IMAGE_PX = 384  # what people see
MODEL_PX = 96  # what the model sees
PATCH_COVERAGE = 0.2  # a patch belongs to an object that covers at least this share of it
_JITTER = 0.055  # centres stay this near their cell's middle (a cell is 1/3 wide), so a place is never a coin toss
_WORLD_SEED = 20_240

Labels = npt.NDArray[np.int8]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Background:
    """A background word with its two sRGB ends; `angle` (degrees) is None when it is flat."""

    word: str
    rgb_a: tuple[int, int, int]
    rgb_b: tuple[int, int, int]
    angle: float | None


@dataclass(frozen=True)
class ObjectTruth:
    """One object: `size` is its box's width in image widths, `rotation` in degrees, `centre` (x, y) in 0..1 from the top left."""

    cls: int
    kind: str
    style: str
    colour: str | None
    emotion: str | None
    text: str | None
    size: float
    rotation: float
    centre: tuple[float, float]
    place: str

    @property
    def entity(self) -> Entity:
        """The class with the attribute that changes its drawing."""
        return Entity(self.cls, self.colour, self.text)

    @property
    def name(self) -> str:
        """The class's word."""
        return CLASSES[self.cls].name


@dataclass(frozen=True)
class Scene:
    """A scene's whole truth; objects are in drawing order (later ones lie above) and in distinct places."""

    seed: int
    split: str
    background: Background
    objects: tuple[ObjectTruth, ...]


def _heldout_pairs() -> frozenset[tuple[int, int]]:
    rng = np.random.default_rng(_WORLD_SEED)
    pairs = list(itertools.combinations(range(len(CLASSES)), 2))
    chosen = rng.choice(len(pairs), size=len(pairs) // 25, replace=False)
    return frozenset(pairs[i] for i in chosen)


HELDOUT_PAIRS: frozenset[tuple[int, int]] = _heldout_pairs()
_HELDOUT_LIST = sorted(HELDOUT_PAIRS)
_KIND_MEMBERS = {k: [c.index for c in CLASSES if c.kind == k] for k in KINDS}
# Shapes carry colours and signs carry words, so each stands for many things and appears more often.
_CLASS_WEIGHTS = {"shape": 3.5, "word": 7.0, "face": 1.4}
# In training they and the letters appear more often still: what is small and fine takes the tower longest to learn, and which of several
# shapes has which colour is learned from scenes with several shapes alone.
_TRAIN_WEIGHTS = {"shape": 18.0, "word": 30.0, "face": 1.4, "letter": 2.5}


def _cumulative(weights: dict[str, float]) -> npt.NDArray[np.float64]:
    each = np.array([weights.get(c.kind, 1.0) for c in CLASSES])
    return np.cumsum(each / each.sum())


_CUMULATIVE = _cumulative(_CLASS_WEIGHTS)
_TRAIN_CUMULATIVE = _cumulative(_TRAIN_WEIGHTS)


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _count(split: Split, rng: np.random.Generator) -> int:
    weights: tuple[float, ...]
    if split == "train":
        weights = (0.04, 0.2, 0.19, 0.19, 0.18, 0.08, 0.05, 0.04, 0.03)
    elif split == "heldout":
        weights = (0.0, 0.0, 0.34, 0.33, 0.33)
    else:
        weights = (0.02, 0.25, 0.25, 0.24, 0.24)
    return int(np.searchsorted(np.cumsum(weights), rng.random() * sum(weights)))


def _draw_class(split: Split, rng: np.random.Generator, chosen: list[int]) -> int:
    shapes = split == "train" and any(CLASSES[c].kind == "shape" for c in chosen)
    if chosen and rng.random() < (0.5 if shapes else 0.25):  # company of its own kind makes questions harder
        kind = CLASSES[chosen[int(rng.integers(len(chosen)))]].kind
        members = _KIND_MEMBERS["shape" if shapes and rng.random() < 0.6 else kind]
        return members[int(rng.integers(len(members)))]
    return min(int(np.searchsorted(_TRAIN_CUMULATIVE if split == "train" else _CUMULATIVE, rng.random())), len(CLASSES) - 1)


def _entities(split: Split, n: int, rng: np.random.Generator, allowed: frozenset[int] | None) -> list[Entity]:
    classes: list[int] = []
    if split == "heldout" and n >= 2:
        pairs = _HELDOUT_LIST if allowed is None else [p for p in _HELDOUT_LIST if p[0] in allowed and p[1] in allowed]
        classes.extend(pairs[int(rng.integers(len(pairs)))])
    out: list[Entity] = []
    while len(out) < n:
        cls = classes[len(out)] if len(out) < len(classes) else _draw_class(split, rng, [e.cls for e in out])
        if allowed is not None and cls not in allowed:
            continue
        if split != "heldout" and any(_pair(cls, e.cls) in HELDOUT_PAIRS for e in out):
            continue
        kind = CLASSES[cls].kind
        colour = SHAPE_COLOURS[int(rng.integers(len(SHAPE_COLOURS)))] if kind == "shape" else None
        text = SIGN_WORDS[int(rng.integers(len(SIGN_WORDS)))] if kind == "word" else None
        entity = Entity(cls, colour, text)
        if entity not in out and (kind != "word" or all(e.cls != cls for e in out)):
            out.append(entity)
    return out


def _cells(n: int, rng: np.random.Generator) -> list[int]:
    cells = [int(c) for c in rng.permutation(9)[:n]]
    if 2 <= n <= 4 and rng.random() < 0.45:  # neighbours in a row, so that left and right can be asked
        row, columns = int(rng.integers(3)), rng.permutation(3)
        first = [row * 3 + int(columns[0]), row * 3 + int(columns[1])]
        cells = first + [c for c in cells if c not in first][: n - 2]
    return cells


def _background(rng: np.random.Generator, taken: set[str | None]) -> Background:
    words = [w for w in BACKGROUNDS if w not in taken]
    word = words[int(rng.integers(len(words)))]
    a, b = BACKGROUNDS[word]
    angle = float(rng.integers(8) * 45) if rng.random() < 0.5 else None
    return Background(word, a, b, angle)


def _size(n: int, kind: str, place: int, rng: np.random.Generator) -> float:
    low, high = (0.27, 0.40) if n == 1 else (0.25, 0.34) if n <= 4 else (0.23, 0.29)
    if n == 1 and place == 4:
        high = 0.6
    if kind == "word":
        low, high = (0.34, 0.40) if n <= 4 else (0.30, 0.34)
    return round(float(low + (high - low) * rng.random()), 4)


def _centre(cell: int, size: float, rng: np.random.Generator) -> float:
    """A coordinate near a cell's middle with the whole box in the image, on a 1/192 grid (whole pixels at every size in use)."""
    at = (cell + 0.5) / 3 + float(rng.uniform(-_JITTER, _JITTER))
    return round(min(max(at, size / 2 - 0.01), 1.01 - size / 2) * 192) / 192


def sample_scene(seed: int, split: Split, styles: tuple[str, ...] = TRAIN_STYLES) -> Scene:
    """The scene of a split's seed: the seed, split and styles decide everything."""
    rng = np.random.default_rng([_WORLD_SEED, SPLITS.index(split), seed])
    allowed = None if styles == TRAIN_STYLES else functools.reduce(frozenset.intersection, (drawable_classes(s) for s in styles))
    n = _count(split, rng)
    entities = _entities(split, n, rng, allowed)
    taken: set[str | None] = {e.colour for e in entities}
    if any(CLASSES[e.cls].kind == "letter" for e in entities):
        taken.add("blue")  # letters are drawn in blue
    background = _background(rng, taken)
    objects = []
    for index in rng.permutation(n):
        entity = entities[int(index)]
        cls = CLASSES[entity.cls]
        objects.append((entity, cls))
    placed = []
    for (entity, cls), cell in zip(objects, _cells(n, rng), strict=True):
        size = _size(n, cls.kind, cell, rng)
        x, y = _centre(cell % 3, size, rng), _centre(cell // 3, size, rng)
        placed.append(
            ObjectTruth(
                cls=entity.cls,
                kind=cls.kind,
                style=styles[int(rng.integers(len(styles)))],
                colour=entity.colour,
                emotion=cls.name if cls.kind == "face" else None,
                text=entity.text,
                size=size,
                rotation=round(float(rng.uniform(-14, 14)) * (0.4 if cls.kind in ("word", "letter") else 1.0), 1),
                centre=(x, y),
                place=PLACES[cell],
            )
        )
    placed.sort(key=lambda o: o.kind == "word")  # signs lie on top, so that nothing hides their words
    return Scene(seed, split, background, tuple(placed))


def blank_scene(word: str = "grey") -> Scene:
    """An empty scene on a flat background of that word."""
    a, b = BACKGROUNDS[word]
    return Scene(0, "blank", Background(word, a, b, None), ())


@functools.lru_cache(maxsize=64)
def _ramp(size: int, angle: float) -> npt.NDArray[np.float32]:
    t = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    field = t[None, :] * c + t[:, None] * s
    return (field / (abs(c) + abs(s)) + 0.5).astype(np.float32)


def _canvas(background: Background, size: int) -> Pixels:
    image = np.empty((size, size, 3), np.uint8)
    if background.angle is None:
        image[:] = background.rgb_a
    else:
        ramp = _ramp(size, background.angle)
        for channel, (a, b) in enumerate(zip(background.rgb_a, background.rgb_b, strict=True)):
            image[..., channel] = a + ramp * (b - a) + 0.5
    return image


def _placed_sprite(o: ObjectTruth, size: int) -> tuple[Pixels, int, int]:
    """The object's premultiplied RGBA pixels, turned and scaled, with the canvas position of their top left corner."""
    width = o.size * size
    level = level_for(width)
    source = sprite(o.entity.sprite_name(), o.style, level)
    c, s = math.cos(math.radians(o.rotation)), math.sin(math.radians(o.rotation))
    box = math.ceil(width * (abs(c) + abs(s))) + 2
    cx, cy = o.centre[0] * size, o.centre[1] * size
    x0, y0 = math.floor(cx - box / 2), math.floor(cy - box / 2)
    k = level / width
    dx, dy = x0 - cx, y0 - cy  # output pixel (u, v) lies at (u + dx, v + dy) from the centre
    data = (k * c, k * s, level / 2 + k * (c * dx + s * dy), -k * s, k * c, level / 2 + k * (-s * dx + c * dy))
    turned = source.transform((box, box), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(turned), x0, y0


def draw(scene: Scene, size: int) -> tuple[Pixels, Labels]:
    """The scene's pixels uint8[size, size, 3] and, for each pixel, the index of the topmost object or -1, int8[size, size]."""
    image = _canvas(scene.background, size)
    labels = np.full((size, size), -1, np.int8)
    for index, o in enumerate(scene.objects):
        rgba, x0, y0 = _placed_sprite(o, size)
        h, w = rgba.shape[:2]
        u0, v0 = max(0, -x0), max(0, -y0)
        u1, v1 = min(w, size - x0), min(h, size - y0)
        part = rgba[v0:v1, u0:u1]
        region = (slice(y0 + v0, y0 + v1), slice(x0 + u0, x0 + u1))
        alpha = part[..., 3:].astype(np.uint16)
        under = image[region].astype(np.uint16)
        image[region] = np.minimum(part[..., :3] + (under * (255 - alpha) + 127) // 255, 255).astype(np.uint8)
        labels[region][part[..., 3] > 127] = index
    return image, labels


def render(scene: Scene, size: int = IMAGE_PX) -> Pixels:
    """The scene's pixels, uint8[size, size, 3]."""
    return draw(scene, size)[0]


def masks(scene: Scene, size: int = IMAGE_PX) -> npt.NDArray[np.bool_]:
    """Which pixels each object shows, bool[n, size, size]: what lies beneath another object is not shown."""
    labels = draw(scene, size)[1]
    return labels[None] == np.arange(len(scene.objects), dtype=np.int8)[:, None, None]


def patch_objects(labels: Labels, n: int, grid: int = 12) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each patch of a label map, the object that covers most of it (or -1) and its share of the patch; both [grid, grid]."""
    side = labels.shape[0] // grid
    if n == 0:
        return np.full((grid, grid), -1, np.int64), np.zeros((grid, grid), np.float32)
    cells = labels.reshape(grid, side, grid, side)
    shares = np.stack([(cells == i).mean((1, 3), dtype=np.float32) for i in range(n)])
    best = shares.argmax(0)
    share = np.take_along_axis(shares, best[None], 0)[0]
    return np.where(share >= PATCH_COVERAGE, best, -1), share


def patch_truth(scene: Scene, grid: int = 12) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each patch the class shown there (-1 for background) and the share of the patch it covers; both [grid, grid]."""
    best, share = patch_objects(draw(scene, grid * 16)[1], len(scene.objects), grid)
    classes = np.array([o.cls for o in scene.objects] + [-1], np.int64)
    return classes[best], share


def entity_index(o: ObjectTruth) -> int:
    """The object's index among all entities."""
    return ENTITY_INDEX[o.entity]
