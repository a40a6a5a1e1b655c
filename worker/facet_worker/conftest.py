"""A tiny random LLaVA in the final layout, so that every test runs in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from facet_worker.checkpoint import Checkpoint, load_checkpoint
from facet_worker.sae import TopKSae

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>", "<image>", "<user>", "<assistant>")
WORDS = ("what", "where", "is", "it", "there", "?", "a", "b", "dog", "cat", "red", "sun")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<user>' if m['role'] == 'user' else '<assistant>' }}"
    "{% for p in m['content'] if p['type'] == 'image' %}<image>{% endfor %}{% for p in m['content'] if p['type'] == 'text' %} {{ p['text'] }}{% endfor %}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
SIZE, PATCH, WIDTH, LAYERS = 32, 8, 32, 3


def write_tiny(folder: Path, seed: int = 0) -> None:
    """Save the tiny model in float16 with its processor."""
    torch.manual_seed(seed)
    ids = {w: i for i, w in enumerate((*SPECIALS, *WORDS))}
    vision = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIZE,
        patch_size=PATCH,
        vision_use_head=False,
    )
    text = LlamaConfig(
        vocab_size=len(ids), hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-1, vision_feature_select_strategy="full",
        image_seq_length=(SIZE // PATCH) ** 2, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 1.0 if "embed_tokens" in name else 0.2)
    model.half().save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    images = SiglipImageProcessorPil(size={"height": SIZE, "width": SIZE}, resample=2, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    LlavaProcessor(
        image_processor=images,
        tokenizer=fast,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Checkpoint:
    torch.set_num_threads(1)
    return load_checkpoint(tiny_folder)


@pytest.fixture(scope="session")
def pictures() -> npt.NDArray[np.uint8]:
    """uint8 [12, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def tiny_sae() -> TopKSae:
    generator = torch.Generator().manual_seed(1)
    rows = torch.nn.functional.normalize(torch.randn(64, WIDTH, generator=generator), dim=1)
    return TopKSae(
        rows.clone(), 0.1 * torch.randn(64, generator=generator), rows, 0.1 * torch.randn(WIDTH, generator=generator), 6
    ).rounded()
