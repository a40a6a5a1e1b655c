"""What training minimises: per-patch classes in the tower; what, where and which colour at an early block; and the conversations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from demo.classes import PLACES, SHAPE_COLOURS
from demo.model import DECODER, Params, block_mask, logits, packed_forward, project, rms, tower_forward, tower_norm
from demo.vocab import word_ids

PLACE_IDS = [word_ids()[p] for p in PLACES]
COLOUR_IDS = [word_ids()[c] for c in SHAPE_COLOURS]
HEAD = "patch_head."
TAP = 1  # the decoder block (from 0) whose output must say what is where, and of which colour a shape is


def to_half(p: Params) -> Params:
    """Matrices in bfloat16 for the arithmetic, all else left in float32."""
    return {n: t.bfloat16() if t.ndim == 2 and "embed" not in n else t for n, t in p.items()}


def _weighted(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    loss = F.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="none", ignore_index=-100)
    return (loss * weight.flatten()).sum() / weight.sum().clamp_min(1e-6)


def _normalise(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


def _patch_scores(p: Params, h: Tensor) -> Tensor:
    x = tower_norm(p, h)
    return F.linear(x.to(p[HEAD + "weight"].dtype), p[HEAD + "weight"]).float() + p[HEAD + "bias"]


def tower_losses(params: Params, pixels: Tensor, entity: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The tower's per-patch loss and the share of object patches that are right."""
    p = to_half(params)
    scores = _patch_scores(p, tower_forward(p, _normalise(pixels)))
    objects = weight == 1
    right = ((scores.argmax(-1) == entity) & objects).sum() / objects.sum().clamp_min(1)
    return _weighted(scores, entity, weight), right


def joint_losses(
    params: Params, pixels: Tensor, entity: Tensor, word: Tensor, place: Tensor, colour: Tensor, weight: Tensor,
    ids: Tensor, pos: Tensor, segments: Tensor, labels: Tensor, share: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(total, parts [5]: language, patch, what, where, colour; predicted next tokens [b, t])."""
    p = to_half(params)
    h = tower_forward(p, _normalise(pixels))
    patch = _weighted(_patch_scores(p, h), entity, weight)
    normed, tapped = packed_forward(p, project(p, h), ids, pos, block_mask(segments), tap=TAP)
    scores = logits(p, normed)
    language = _weighted(scores, labels, share)
    told = logits(p, rms(tapped, p[DECODER + "norm.weight"]))
    places = torch.tensor(PLACE_IDS)
    where = _weighted(told[..., places], place, weight)
    # among the colours alone: a shape's own word stays the one that its patches say
    hue = _weighted(told[..., torch.tensor(COLOUR_IDS)], colour, weight * (colour >= 0))
    barred = torch.zeros(told.shape[-1]).index_fill(0, places, -1e4)
    what = _weighted(told + barred, word, weight)
    total = language + patch + 0.5 * what + 0.35 * where + 0.25 * hue
    return total, torch.stack([language, patch, what, where, hue]).detach(), scores.argmax(-1)
