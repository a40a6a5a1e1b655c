"""Tiny random models of each family, made from their configurations, with processors of a few words: for the tests."""

from __future__ import annotations

import copy
from typing import Any

import torch
from tokenizers import AddedToken
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SiglipImageProcessorPil,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from facet_worker.checkpoint import Checkpoint
from facet_worker.conftest import SPECIALS, TEMPLATE, WIDTH, WORDS

Made = tuple[Any, Any]
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
}  # fmt: skip
VISION: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}


def randomised(model: Any) -> Any:
    """Weights large enough that a change at the hook shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 1.0 if "embed_tokens" in name else 0.2)
    return model


def _tokenizer(tiny: Checkpoint, markers: list[str], **named: str) -> Any:
    """The tiny tokenizer with a family's own markers; `named` become its attributes (`image_token`, …) with their ids."""
    backend = copy.deepcopy(tiny.tokenizer.backend_tokenizer)
    backend.add_special_tokens([AddedToken(marker, special=True, normalized=False) for marker in markers])
    roles = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, extra_special_tokens={"image_token": "<image>", **named}, **roles)


def llava(tiny: Checkpoint) -> Made:
    """The tiny LLaVA of the other tests."""
    return tiny.model, tiny.processor


def llava_next(tiny: Checkpoint) -> Made:
    """Any resolution: a base grid of 4 × 4, tiles of as much, and newline tokens."""
    vision = CLIPVisionConfig(**{**VISION, "num_hidden_layers": 3}, patch_size=8, projection_dim=16)
    text = LlamaConfig(vocab_size=len(SPECIALS) + len(WORDS), **TEXT)
    pinpoints = [[32, 64], [64, 32], [64, 64], [32, 96]]
    config = LlavaNextConfig(vision_config=vision, text_config=text, image_token_index=4, image_grid_pinpoints=pinpoints)
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints, do_center_crop=True
    )
    processor = LlavaNextProcessor(
        image_processor=images, tokenizer=tiny.tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    )  # fmt: skip
    return randomised(LlavaNextForConditionalGeneration(config)), processor


def gemma3(tiny: Checkpoint) -> Made:
    """A tower of 8 × 8 patches pooled to 4 × 4 tokens, which look at each other both ways; local and global attention in turn."""
    begin, soft, end = "<start_of_image>", "<image_soft>", "<end_of_image>"
    tokenizer = _tokenizer(tiny, [begin, soft, end], boi_token=begin, image_token=soft, eoi_token=end)
    config = Gemma3Config(
        text_config={"vocab_size": len(tokenizer), "head_dim": 8, "sliding_window": 64, "query_pre_attn_scalar": 8, **TEXT},
        vision_config={**VISION, "patch_size": 4, "vision_use_head": False}, mm_tokens_per_image=16,
        image_token_index=tokenizer.image_token_id, boi_token_index=tokenizer.boi_token_id, eoi_token_index=tokenizer.eoi_token_id,
    )  # fmt: skip
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": 32, "width": 32}, do_pan_and_scan=False),
        tokenizer=tokenizer, image_seq_length=16, chat_template=TEMPLATE.replace("<image>", begin),
    )  # fmt: skip
    return randomised(Gemma3ForConditionalGeneration(config)), processor


def paligemma(tiny: Checkpoint) -> Made:
    """Images before the text, no chat template, and a prompt that looks at itself both ways."""
    tokenizer = _tokenizer(tiny, ["<image_soft>", "\n"], image_token="<image_soft>")
    tokenizer.chat_template = None
    config = PaliGemmaConfig(
        text_config={"model_type": "gemma", "vocab_size": len(tokenizer), "head_dim": 8, **TEXT},
        vision_config={**VISION, "model_type": "siglip_vision_model", "patch_size": 8, "vision_use_head": False},
        projection_dim=WIDTH, image_token_index=tokenizer.image_token_id,
    )  # fmt: skip
    images: Any = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    return randomised(PaliGemmaForConditionalGeneration(config)), PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer)


def _tiling_tokenizer(tiny: Checkpoint, *more: str) -> Any:
    places = [f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5)]
    return _tokenizer(
        tiny, ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *places, *more], image_token="<image>"
    )  # fmt: skip


def idefics3(tiny: Checkpoint) -> Made:
    """Tiles with their places first, the whole image last; 8 × 8 patches shuffled into 4 × 4 tokens."""
    tokenizer = _tiling_tokenizer(tiny)
    config = Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**VISION, "patch_size": 4},
        scale_factor=2,
        image_token_id=4,
    )
    images = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(image_processor=images, tokenizer=tokenizer, image_seq_len=16, chat_template=TEMPLATE)
    return randomised(Idefics3ForConditionalGeneration(config)), processor


def smolvlm(tiny: Checkpoint) -> Made:
    """Tiled as Idefics3 is, with classes of its own."""
    tokenizer = _tiling_tokenizer(tiny, "<video>")
    config = SmolVLMConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**VISION, "patch_size": 4},
        scale_factor=2,
        image_token_id=4,
    )
    images = SmolVLMImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = SmolVLMProcessor(
        image_processor=images, tokenizer=tokenizer, video_processor=SmolVLMVideoProcessor(), image_seq_len=16, chat_template=TEMPLATE
    )
    return randomised(SmolVLMForConditionalGeneration(config)), processor


def llava_onevision(tiny: Checkpoint) -> Made:
    """Any resolution for an image alone, scaled down where its tiles are more than two; several images without tiles."""
    tokenizer = _tokenizer(tiny, ["<video>"], image_token="<image>", video_token="<video>")
    pinpoints = [[32, 64], [64, 32], [64, 64], [32, 96], [96, 96]]
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**VISION, "model_type": "siglip_vision_model", "patch_size": 8, "vision_use_head": False},
        image_token_index=4, video_token_index=tokenizer.video_token_id, image_grid_pinpoints=pinpoints, vision_aspect_ratio="anyres_max_9",
    )  # fmt: skip
    images = LlavaOnevisionImageProcessorPil(size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints)
    processor = LlavaOnevisionProcessor(
        image_processor=images, tokenizer=tokenizer, video_processor=LlavaOnevisionVideoProcessor(), num_image_tokens=16,
        vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_9", chat_template=TEMPLATE,
    )  # fmt: skip
    return randomised(LlavaOnevisionForConditionalGeneration(config)), processor


_QWEN_MARKERS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")


def _qwen_parts(tiny: Checkpoint) -> tuple[Any, dict[str, Any], str]:
    """Tokenizer, the ids and text part of a configuration (positions in three axes), and template."""
    tokenizer = _tokenizer(tiny, list(_QWEN_MARKERS), image_token="<|image_pad|>", video_token="<|video_pad|>")
    start, image, end, video = tokenizer.convert_tokens_to_ids(list(_QWEN_MARKERS))
    config: dict[str, Any] = {
        "image_token_id": image, "video_token_id": video, "vision_start_token_id": start, "vision_end_token_id": end,
        "text_config": {
            "vocab_size": len(tokenizer), "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}, **TEXT,
        },
    }  # fmt: skip
    return tokenizer, config, TEMPLATE.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")


_QWEN_SIZES: dict[str, Any] = {"patch_size": 4, "temporal_patch_size": 2, "merge_size": 2}
_QWEN_VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "out_hidden_size": WIDTH,
}  # fmt: skip


def qwen2_5_vl(tiny: Checkpoint) -> Made:
    """Grids of the pictures' own shapes; a tower whose blocks look in windows of 2 × 2 tokens, but for the last."""
    tokenizer, config, template = _qwen_parts(tiny)
    vision = {**_QWEN_VISION, "depth": 3, "window_size": 16, "fullatt_block_indexes": [2]}
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 8192}, **_QWEN_SIZES)
    processor = Qwen2_5_VLProcessor(
        image_processor=images, tokenizer=tokenizer, video_processor=Qwen2VLVideoProcessor(**_QWEN_SIZES), chat_template=template
    )
    return randomised(Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(vision_config=vision, **config))), processor


def qwen3_vl(tiny: Checkpoint) -> Made:
    """As Qwen2.5-VL, and features of two of the tower's blocks are added behind the decoder's first two blocks."""
    tokenizer, config, template = _qwen_parts(tiny)
    config["text_config"]["head_dim"] = 8
    vision = {**_QWEN_VISION, "depth": 3, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]}
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 8192}, **_QWEN_SIZES)
    processor = Qwen3VLProcessor(
        image_processor=images, tokenizer=tokenizer, video_processor=Qwen3VLVideoProcessor(**_QWEN_SIZES), chat_template=template
    )
    return randomised(Qwen3VLForConditionalGeneration(Qwen3VLConfig(vision_config=vision, **config))), processor


FAMILIES = {
    "llava": llava,
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "gemma3": gemma3,
    "paligemma": paligemma,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
}
