"""What the checkpoint itself writes, by stock Hugging Face `generate` in PyTorch: no cut, no dictionary, no graph.

The engine's baseline is held against it, token for token. Rewrite it whenever the model in `demo/model` changes:

    .venv/bin/python worker/make_fixtures/generation.py demo lib/engine/onnx/fixtures/plain-generation.json
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

from facet_worker.checkpoint import Checkpoint, load_checkpoint

TOKENS = 16
Turn = tuple[str, list[int], str]
"""Role, pictures by their place in the sample, text."""

CASES: list[list[Turn]] = [
    [("user", [0], "what do you see ?")],
    [("user", [1], "what do you see ?")],
    [("user", [2], "how many animals are there ?")],
    [("user", [3], "what is in the middle ?")],
    [("user", [4], "is there a dog ?")],
    [("user", [5], "what do you see ?"), ("assistant", [], "a dog"), ("user", [], "where is it ?")],
    [("user", [0, 3], "what do you see ?")],
    [("user", [1], "what do you see ?"), ("assistant", [], "a cat"), ("user", [2], "what do you see ?")],
    [("user", [], "what do you see ?")],
]


def _sample(bundle: Path) -> list[tuple[str, bytes]]:
    """Six pictures spread over the catalogue."""
    table = pq.read_table(bundle / "images.parquet", columns=["sha256", "bytes"])
    rows = [round(i * (table.num_rows - 1) / 5) for i in range(6)]
    return [(table["sha256"][row].as_py(), table["bytes"][row].as_py()) for row in rows]


def _written(checkpoint: Checkpoint, turns: list[Turn], pictures: list[bytes]) -> dict[str, Any]:
    messages = [
        {"role": role, "content": [*({"type": "image"} for _ in images), {"type": "text", "text": text}]} for role, images, text in turns
    ]
    prompt = checkpoint.processor.apply_chat_template(messages, add_generation_prompt=True)
    ids = checkpoint.ids_of(prompt)
    shown = [checkpoint.resize(Image.open(io.BytesIO(pictures[place]))) for _, images, _ in turns for place in images]
    inputs: dict[str, Any] = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if shown:
        inputs["pixel_values"] = checkpoint.pixels(np.stack(shown))
    with torch.inference_mode():
        out = checkpoint.model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, output_logits=True, return_dict_in_generate=True)
    tokens = out.sequences[0, len(ids) :].tolist()
    if checkpoint.tokenizer.eos_token_id in tokens:
        tokens = tokens[: tokens.index(checkpoint.tokenizer.eos_token_id)]
    first = torch.log_softmax(out.logits[0][0].double(), dim=-1)
    return {"prompt": prompt, "tokens": tokens, "text": checkpoint.tokenizer.decode(tokens), "first": [round(x, 6) for x in first.tolist()]}


def main(demo: Path, target: Path) -> None:
    checkpoint = load_checkpoint(demo / "model")
    pictures = _sample(demo / "bundle")
    cases = []
    for turns in CASES:
        said = [{"role": role, "images": [pictures[place][0] for place in images], "text": text} for role, images, text in turns]
        cases.append({"turns": said, **_written(checkpoint, turns, [data for _, data in pictures])})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"model": checkpoint.sha256, "maxTokens": TOKENS, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
