from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from facet_worker.export_embedder import export


def make_bert(folder: Path) -> None:
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *["a", "dog", "puppies", "at", "play", "yellow", "fruit", "lemon", "the", "sky"]]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))


def test_export_embeds_as_the_model_does(tmp_path: Path) -> None:
    source, target = tmp_path / "bert", tmp_path / "out"
    make_bert(source)
    assert export(source, target) > 0.95
    assert json.loads((target / "embedder.json").read_text())["dimensions"] == 32
    session = onnxruntime.InferenceSession(str(target / "model.onnx"))
    ids = np.array([[2, 4, 5, 3]])
    (alone,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert alone.shape == (1, 32)
    assert np.allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-4)
    # What is masked counts for nothing, as far as 8 bits tell.
    padded = np.array([[2, 4, 5, 3, 0, 0]])
    (other,) = session.run(None, {"input_ids": padded, "attention_mask": (padded != 0).astype(np.int64)})
    assert float((alone * other).sum()) > 0.99
