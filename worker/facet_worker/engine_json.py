"""`engine.json`: what an engine in another language needs to know to run the exported graphs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.hooks import hook_name
from facet_worker.sae import WEIGHTS_FILE, TopKSae, file_sha256

FORMAT = "facet-engine/1"


def chat_parts(checkpoint: Checkpoint) -> dict[str, str]:
    """The chat template taken apart: strings put before and behind what people write.

    A user's turn is `user`, an `image` for each image, then `text` and the words for each text; an assistant's is `assistant`, `text`, the
    words and `end`; an open prompt ends with `assistant`; the conversation begins with `prefix`.

    Raises
    ------
    FacetError : when the parts do not give back what the template itself renders.
    """
    tokenizer = checkpoint.tokenizer
    parts = {
        "prefix": tokenizer.bos_token, "user": "<user>", "image": tokenizer.image_token, "text": " ", "assistant": "<assistant>",
        "end": tokenizer.eos_token,
    }  # fmt: skip
    for turns in (
        [("user", "what ?")],
        [("user", "what ?"), ("assistant", "a dog"), ("user", "where ?")],
        [("user", "a"), ("assistant", "b")],
    ):
        for image in (True, False):
            if join_chat(parts, turns, image) != checkpoint.prompt(turns, image):
                raise FacetError("The chat template is not the plain concatenation that engines use.")
    return parts


def join_chat(parts: dict[str, str], turns: list[tuple[str, str]], image: bool) -> str:
    """A prompt from the parts, as engines build it."""
    out = parts["prefix"]
    for i, (role, text) in enumerate(turns):
        out += parts[role]
        if image and i == 0:
            out += parts["image"]
        out += parts["text"] + text
        if role == "assistant":
            out += parts["end"]
    return out + (parts["assistant"] if turns[-1][0] == "user" else "")


def engine_description(checkpoint: Checkpoint, model_id: str, name: str, dictionaries: dict[int, Path], root: Path) -> dict[str, Any]:
    """The whole `engine.json`; dictionary folders are written relative to `root`, the folder that holds `engine.json`."""
    ip, config, tokenizer = checkpoint.processor.image_processor, checkpoint.model.config, checkpoint.tokenizer
    text = config.text_config
    described = []
    for layer, folder in sorted(dictionaries.items()):
        sae, hook = TopKSae.load(folder), hook_name(layer)
        gradient = f"gradient.{hook}.onnx"
        described.append(
            {
                "id": hook,
                "hook": hook,
                "layer": layer,
                "folder": Path(os.path.relpath(folder, root)).as_posix(),
                "sha256": file_sha256(folder / WEIGHTS_FILE),
                "k": sae.k,
                "num_latents": sae.num_latents,
                "lower": f"lower.{hook}.onnx",
                "upper": f"upper.{hook}.onnx",
                "encode": "encode.onnx",
                **({"gradient": gradient} if (root / gradient).is_file() else {}),
            }
        )
    return {
        "format": FORMAT,
        "model": {"id": model_id, "name": name, "sha256": checkpoint.sha256},
        "image": {
            "size": checkpoint.image_size, "patch": config.vision_config.patch_size, "rows": checkpoint.grid, "cols": checkpoint.grid,
            "mean": list(ip.image_mean), "std": list(ip.image_std), "resample": "bilinear",
        },
        "tokens": {
            "image": checkpoint.image_token, "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id,
            "max_positions": text.max_position_embeddings,
        },
        "chat": chat_parts(checkpoint),
        "decoder": {
            "layers": text.num_hidden_layers, "kv_heads": text.num_key_value_heads,
            "head_dim": getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads, "width": text.hidden_size,
        },
        "dictionaries": described,
    }  # fmt: skip


def write_engine(path: Path, description: dict[str, Any]) -> None:
    """Write the file."""
    path.write_text(json.dumps(description, indent=2) + "\n")
