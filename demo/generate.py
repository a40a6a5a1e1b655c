"""Greedy answers for many questions at once, equal to stock generation but with each image's prefix computed once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from demo.model import DECODER, Params, logits, prefix_pass, project, text_pass, tower_forward
from demo.vocab import ASSISTANT, EOS, PREFIX_TOKENS, USER, decode, encode, word_ids
from demo.world import MODEL_PX, Pixels


def load_params(folder: Path) -> Params:
    """A checkpoint's weights in float32, under the names of training."""
    stored = load_file(folder / "model.safetensors")
    out: Params = {}
    for name, t in stored.items():
        if name.startswith("language_model.model."):
            name = DECODER + name.removeprefix("language_model.model.")
        elif not name.startswith("model."):
            name = "model." + name
        out[name.replace("vision_tower.vision_model.", "vision_tower.")] = t.float()
    return out


def pixel_tensor(images: Sequence[Pixels]) -> Tensor:
    """float [b, 3, 96, 96] in -1..1 as the stock processor makes it from drawings of any size."""
    small = [Image.fromarray(i).resize((MODEL_PX, MODEL_PX), Image.Resampling.BILINEAR) for i in images]
    flat = [torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).view(MODEL_PX, MODEL_PX, 3) for i in small]
    return torch.stack(flat).permute(0, 3, 1, 2).float() / 127.5 - 1


def history_ids(turns: Sequence[tuple[str, str]], question: str) -> list[int]:
    """Ids behind the image of a conversation's past turns and its next question, up to `<assistant>`."""
    table = word_ids()
    ids: list[int] = []
    for asked, answer in turns:
        ids += [*encode(asked), table[ASSISTANT], *encode(answer), table[EOS], table[USER]]
    return [*ids, *encode(question), table[ASSISTANT]]


@torch.no_grad()
def greedy(
    p: Params, pixels: Tensor, image_of: Sequence[int], prompts: Sequence[list[int]], max_new: int = 64, rows: int = 256
) -> list[str]:
    """The greedy answer to each prompt about image `image_of[i]` of pixels [b, 3, 96, 96]."""
    cache = prefix_pass(p, project(p, tower_forward(p, pixels)))[0]
    out: list[str] = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for at in range(0, len(order), rows):
        part = order[at : at + rows]
        ids = [list(prompts[i]) for i in part]
        active = list(range(len(part)))
        for _ in range(max_new):
            width = max(len(ids[r]) for r in active)
            text = torch.zeros(len(active), width, dtype=torch.long)
            for row, r in enumerate(active):
                text[row, : len(ids[r])] = torch.tensor(ids[r])
            which = torch.tensor([image_of[part[r]] for r in active])
            pos = PREFIX_TOKENS + torch.arange(width)[None].expand(len(active), -1)
            mask = torch.cat([torch.ones(width, PREFIX_TOKENS, dtype=torch.bool), torch.ones(width, width, dtype=torch.bool).tril()], 1)
            states = text_pass(p, [(k[which], v[which]) for k, v in cache], text, pos, mask[None, None].expand(len(active), 1, -1, -1))
            ends = torch.tensor([len(ids[r]) - 1 for r in active])
            best = logits(p, states[torch.arange(len(active)), ends]).argmax(-1).tolist()
            for r, token in zip(active, best, strict=True):
                ids[r].append(token)
            active = [r for r, token in zip(active, best, strict=True) if token != word_ids()[EOS]]
            if not active:
                break
        for r, i in enumerate(part):
            out[i] = decode(ids[r][len(prompts[i]) :])
    return out
