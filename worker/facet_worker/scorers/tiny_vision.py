"""Tiny CLIP, Grounding DINO and SAM checkpoints of random weights, saved as real ones are; for tests."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    SamProcessor,
)

WORDS = ("red", "dog", "cat", "blue", "things", "sky", "green")


def write_clip(folder: Path) -> None:
    """A CLIP whose texts are spelled in letters."""
    letters = [chr(97 + i) for i in range(26)]
    vocabulary = {token: i for i, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)])}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={
            **size, "vocab_size": len(vocabulary), "max_position_embeddings": 24, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
        },
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def write_detector(folder: Path) -> None:
    """A Grounding DINO of two layers."""
    # The model knows where a phrase ends by BERT's own ids.
    words = {100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 0: "[PAD]", 1012: ".", 1029: "?"}
    words |= {1030 + i: word for i, word in enumerate(WORDS)}
    tokens = [words.get(i, f"[unused{i}]") for i in range(1040)]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    tokenizer = BertTokenizer.from_pretrained(folder)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "image_size": 64, "window_size": 4, "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4],
            "out_features": ["stage2", "stage3", "stage4"], "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 1040,
        },
        num_queries=12, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32, d_model=32, encoder_attention_heads=4,
        decoder_attention_heads=4, disable_custom_kernels=True,
    )  # fmt: skip
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def write_segmenter(folder: Path) -> None:
    """A SAM over 64 × 64 pixels."""
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64, "patch_size": 8, "output_channels": 16, "window_size": 0,
            "mlp_dim": 32, "global_attn_indexes": [0], "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16, "attention_downsample_rate": 2,
        },
    )  # fmt: skip
    torch.manual_seed(0)
    SamModel(config).save_pretrained(folder)
    SamProcessor(image_processor=SamImageProcessorPil(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})).save_pretrained(
        folder
    )
