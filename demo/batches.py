"""Training batches made on the fly: drawn scenes, per-patch targets and packed conversations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from demo.classes import BACKGROUNDS, CLASSES, ENTITIES, PLACES, SHAPE_COLOURS
from demo.tasks import TRAIN_WEIGHTS, Chat, ask
from demo.vocab import GRID, IMAGE_TOKENS, PREFIX_TOKENS, encode_chat, word_ids
from demo.world import MODEL_PX, Scene, Split, draw, entity_index, patch_objects, sample_scene

DRAW_PX = 2 * MODEL_PX
IGNORE = -100
_BACKGROUND_INDEX = {w: i for i, w in enumerate(BACKGROUNDS)}
_CLASS_WORD = np.array([word_ids()[c.name] for c in CLASSES])
_PATCH_PLACE = np.array([(r * 3 // GRID) * 3 + (c * 3 // GRID) for r in range(GRID) for c in range(GRID)])


@dataclass(frozen=True)
class Batch:
    """b images with t packed text tokens each."""

    pixels: Tensor  # uint8 [b, 3, 96, 96]
    patch_entity: Tensor  # [b, 144] entity shown, or entities + background
    patch_word: Tensor  # [b, 144] vocabulary id of what is shown
    patch_place: Tensor  # [b, 144] place of the object shown, or the patch's own
    patch_colour: Tensor  # [b, 144] position in SHAPE_COLOURS of the shape shown, else IGNORE
    patch_weight: Tensor  # float [b, 144] objects 1, background less
    ids: Tensor  # [b, t]
    pos: Tensor  # [b, t]
    segments: Tensor  # [b, t], -1 for padding
    labels: Tensor  # [b, t] the next token where the model has to write it, else IGNORE
    weights: Tensor  # float [b, t]
    tasks: list[list[str]]  # the task of each segment

    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors in the order of `losses`."""
        return (
            self.pixels,
            self.patch_entity,
            self.patch_word,
            self.patch_place,
            self.patch_colour,
            self.patch_weight,
            self.ids,
            self.pos,
            self.segments,
            self.labels,
            self.weights,
        )


def model_pixels(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """What the model sees, uint8 [96, 96, 3], with the label map it was drawn from."""
    image, labels = draw(scene, DRAW_PX)
    return np.asarray(Image.fromarray(image).resize((MODEL_PX, MODEL_PX), Image.Resampling.BILINEAR)), labels


def patch_targets(scene: Scene, labels: np.ndarray, background_weight: float = 0.15) -> tuple[np.ndarray, ...]:
    """Entity, word, place and shape's colour of each patch and its weight, each [144]."""
    best = patch_objects(labels, len(scene.objects), GRID)[0].reshape(-1)
    background = _BACKGROUND_INDEX[scene.background.word]
    objects = scene.objects
    entity = np.array([entity_index(o) for o in objects] + [len(ENTITIES) + background])[best]
    word = np.array([_CLASS_WORD[o.cls] for o in objects] + [word_ids()[scene.background.word]])[best]
    place = np.where(best >= 0, np.array([PLACES.index(o.place) for o in objects] + [0])[best], _PATCH_PLACE)
    colour = np.array([SHAPE_COLOURS.index(o.colour) if o.colour else IGNORE for o in objects] + [IGNORE])[best]
    return entity, word, place, colour, np.where(best >= 0, 1.0, background_weight).astype(np.float32)


def conversations(scene: Scene, rng: np.random.Generator, tokens: int, weights: dict[str, float] = TRAIN_WEIGHTS) -> list[Chat]:
    """Different conversations about a scene, drawn by weight until `tokens` are full; often a caption among them."""
    names = list(weights)
    p = np.cumsum(list(weights.values()))
    out: list[Chat] = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    used = 0
    if rng.random() < (0.65 if len(scene.objects) <= 4 else 0.35):
        first = ask(scene, "caption", rng)
        assert first is not None
        out.append(first)
        used = len(encode_chat(first)[0])
    for _ in range(120):
        chat = ask(scene, names[int(np.searchsorted(p, rng.random() * p[-1]))], rng)
        if chat is None or chat.turns in seen:
            continue
        seen.add(chat.turns)
        length = len(encode_chat(chat)[0])
        if used + length > tokens:
            break
        used += length
        out.append(chat)
    return out


def pack(chats: list[Chat], tokens: int) -> tuple[np.ndarray, ...]:
    """ids, positions, segments, labels, weights, each [tokens]; a conversation's weight grows with the root of its answer's length."""
    ids = np.zeros(tokens, np.int64)
    pos = np.full(tokens, PREFIX_TOKENS, np.int64)
    segments = np.full(tokens, -1, np.int64)
    labels = np.full(tokens, IGNORE, np.int64)
    weights = np.zeros(tokens, np.float32)
    at = 0
    for number, chat in enumerate(chats):
        words, own = encode_chat(chat)
        n = len(words)
        ids[at : at + n] = words
        pos[at : at + n] = PREFIX_TOKENS + np.arange(n)
        segments[at : at + n] = number
        for j in range(n - 1):
            if own[j + 1]:
                labels[at + j] = words[j + 1]
        weights[at : at + n] = sum(own) ** -0.5
        at += n
    return ids, pos, segments, labels, np.where(labels >= 0, weights, 0).astype(np.float32)


def make_batch(split: Split, seeds: list[int], rng: np.random.Generator, tokens: int, weights: dict[str, float] = TRAIN_WEIGHTS) -> Batch:
    """The batch of these seeds' scenes; with tokens 0, no conversations (the tower's own training)."""
    images, targets, packs, tasks = [], [], [], []
    for seed in seeds:
        scene = sample_scene(seed, split)
        pixels, labels = model_pixels(scene)
        images.append(pixels.transpose(2, 0, 1))
        targets.append(patch_targets(scene, labels))
        chats = conversations(scene, rng, tokens, weights) if tokens else []
        tasks.append([c.task for c in chats])
        packs.append(pack(chats, tokens))
    entity, word, place, colour, weight = (torch.from_numpy(np.stack(x)) for x in zip(*targets, strict=True))
    ids, pos, segments, out, share = (torch.from_numpy(np.stack(x)) for x in zip(*packs, strict=True))
    assert entity.shape[1] == IMAGE_TOKENS
    return Batch(torch.from_numpy(np.stack(images)), entity, word, place, colour, weight, ids, pos, segments, out, share, tasks)
