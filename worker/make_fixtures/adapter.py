"""The PEFT adapter of the paper's authors' newer trainer; no package writes one, so its arithmetic is written out here."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from worlds import LATENTS, World, write_sample


def write_adapter(root: Path) -> None:
    folder = root / "adapter"
    folder.mkdir(parents=True)
    world, k = World(41), 2
    prefix = "base_model.model.model.language_model.layers.24."
    # No encoder bias, and b_dec of shape [1, D].
    tensors = {"sae_encoder.weight": world.w_enc, "sae_W_dec": world.w_dec, "sae_b_dec": world.b_dec[None]}
    save_file({prefix + name: tensor.half().contiguous() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "TOPK_SAE",
        "base_model_name_or_path": "llava-hf/llama3-llava-next-8b-hf",
        "k": k,
        "num_latents": LATENTS,
        "expansion_factor": 0,
        "target_modules": ["layers.24"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    w_enc, w_dec, b_dec = (tensor.half().float() for tensor in (world.w_enc, world.w_dec, world.b_dec))

    def encode(x: Tensor) -> Tensor:
        values, indices = torch.relu((x - b_dec) @ w_enc.T).topk(k)
        return torch.zeros(len(x), LATENTS).scatter_(1, indices, values)

    write_sample(folder, world.hidden, encode, lambda x: encode(x) @ w_dec + b_dec)
