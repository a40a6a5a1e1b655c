"""The small LLaVA: its stock configuration, and its forward pass written out for packed training.

`packed_forward` computes what `LlavaForConditionalGeneration` computes, for many conversations about one image at once: the
image's tokens are a shared prefix, each conversation sees the prefix and itself, and positions restart behind the image.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, SiglipVisionConfig

from demo.classes import BACKGROUNDS, ENTITIES
from demo.vocab import BOS, EOS, IMAGE, IMAGE_TOKENS, PAD, PATCH_PX, PREFIX_TOKENS, USER, build_processor, word_ids
from demo.world import MODEL_PX

TOWER = "model.vision_tower."
DECODER = "model.language_model."
PROJECTOR = "model.multi_modal_projector."
PATCH_TARGETS = len(ENTITIES) + len(BACKGROUNDS)

Params = dict[str, Tensor]
_LEAD = [word_ids()[BOS], word_ids()[USER]]


def build_config() -> LlavaConfig:
    """The stock configuration: a 192 × 4 SigLIP tower and a 256 × 6 Llama, some 6 million weights."""
    ids = word_ids()
    vision = SiglipVisionConfig(
        hidden_size=192, intermediate_size=576, num_hidden_layers=4, num_attention_heads=4, image_size=MODEL_PX, patch_size=PATCH_PX,
        num_channels=3, hidden_act="gelu_pytorch_tanh", vision_use_head=False,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(ids), hidden_size=256, intermediate_size=640, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=ids[BOS], eos_token_id=ids[EOS],
        pad_token_id=ids[PAD], attention_bias=False, mlp_bias=False,
    )  # fmt: skip
    # What every configuration takes but LLaVA's signature does not name.
    inherited: dict[str, Any] = {"image_token_id": ids[IMAGE], "pad_token_id": ids[PAD], "bos_token_id": ids[BOS], "eos_token_id": ids[EOS]}
    return LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=ids[IMAGE], projector_hidden_act="gelu", vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_seq_length=IMAGE_TOKENS, multimodal_projector_bias=True, tie_word_embeddings=True,
        **inherited,
    )  # fmt: skip


def build_model(seed: int = 0) -> LlavaForConditionalGeneration:
    """A freshly initialised model in float32."""
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(build_config())
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 2 and "position" not in name:
                p.normal_(0, 0.02 if "embed_tokens" in name else p.shape[1] ** -0.5)
                if name.endswith(("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight")):
                    p.mul_(0.3)
            elif "position" in name:
                p.normal_(0, 0.02)
    model.generation_config.max_new_tokens = 96
    model.generation_config.do_sample = False
    model.generation_config.pad_token_id = word_ids()[PAD]
    model.generation_config.bos_token_id = word_ids()[BOS]
    model.generation_config.eos_token_id = word_ids()[EOS]
    return model.eval()


def save_checkpoint(weights: Params, folder: Path) -> None:
    """A complete Hugging Face folder in float16, put in place by one rename."""
    model = build_model()
    model.load_state_dict({**weights, "lm_head.weight": weights[DECODER + "embed_tokens.weight"]}, strict=True)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.half().save_pretrained(fresh)
    build_processor().save_pretrained(fresh)
    (fresh / "recipe.json").write_text(json.dumps({"recipe": "demo.train_model", "image_px": MODEL_PX}) + "\n")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def trainable(model: LlavaForConditionalGeneration) -> Params:
    """Name -> float32 tensor of every weight once (the output matrix is the embedding)."""
    return {n: p.detach().clone().float() for n, p in model.named_parameters() if n != "lm_head.weight"}


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Attention [b, n, d] with an additive bias; written out, which on small heads is faster than the fused kernel."""
    b, n, d = q.shape
    q, k, v = (t.view(b, t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
    scores = (q @ k.transpose(-1, -2)).float() * (d // heads) ** -0.5
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(-1).to(q.dtype) @ v).transpose(1, 2).reshape(b, n, d)


def _bias(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, -1e9)


def tower_forward(p: Params, pixels: Tensor, heads: int = 4, layers: int = 4) -> Tensor:
    """Patch features [b, 144, 192] from pixels [b, 3, 96, 96] in -1..1 (before the tower's last norm, as LLaVA takes them)."""
    dtype = p[TOWER + "encoder.layers.0.mlp.fc1.weight"].dtype
    b = pixels.shape[0]
    g = MODEL_PX // PATCH_PX
    patches = pixels.view(b, 3, g, PATCH_PX, g, PATCH_PX).permute(0, 2, 4, 1, 3, 5).reshape(b, g * g, -1)
    conv = p[TOWER + "embeddings.patch_embedding.weight"]
    h = F.linear(patches.to(dtype), conv.flatten(1).to(dtype), p[TOWER + "embeddings.patch_embedding.bias"].to(dtype))
    h = h.float() + p[TOWER + "embeddings.position_embedding.weight"].float()
    for i in range(layers):
        name = f"{TOWER}encoder.layers.{i}."

        def lin(x: Tensor, part: str, name: str = name) -> Tensor:
            return F.linear(x, p[name + part + ".weight"], p[name + part + ".bias"].to(dtype))

        x = F.layer_norm(h, h.shape[-1:], p[name + "layer_norm1.weight"], p[name + "layer_norm1.bias"], 1e-6).to(dtype)
        a = _attend(lin(x, "self_attn.q_proj"), lin(x, "self_attn.k_proj"), lin(x, "self_attn.v_proj"), heads)
        h = h + lin(a, "self_attn.out_proj")
        x = F.layer_norm(h, h.shape[-1:], p[name + "layer_norm2.weight"], p[name + "layer_norm2.bias"], 1e-6).to(dtype)
        h = h + lin(F.gelu(lin(x, "mlp.fc1"), approximate="tanh"), "mlp.fc2")
    return h


def tower_norm(p: Params, h: Tensor) -> Tensor:
    """The tower's last norm; LLaVA leaves it out, the per-patch loss uses it."""
    return F.layer_norm(h, h.shape[-1:], p[TOWER + "post_layernorm.weight"], p[TOWER + "post_layernorm.bias"], 1e-6)


def project(p: Params, h: Tensor) -> Tensor:
    """Image tokens [b, 144, 256] from patch features."""
    dtype = p[PROJECTOR + "linear_1.weight"].dtype
    x = F.gelu(F.linear(h.to(dtype), p[PROJECTOR + "linear_1.weight"], p[PROJECTOR + "linear_1.bias"].to(dtype)))
    return F.linear(x, p[PROJECTOR + "linear_2.weight"], p[PROJECTOR + "linear_2.bias"].to(dtype))


def rms(x: Tensor, weight: Tensor) -> Tensor:
    """Llama's norm in float32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def rope_tables(positions: Tensor, head_dim: int = 64) -> tuple[Tensor, Tensor]:
    """cos and sin [..., n, 1, head_dim] for positions [..., n]."""
    inverse = 10000.0 ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = positions.float()[..., None] * inverse
    angle = torch.cat([angle, angle], -1)[..., None, :]
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, tables: tuple[Tensor, Tensor], heads: int) -> Tensor:
    b, n, d = x.shape
    x = x.view(b, n, heads, -1)
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return (x * tables[0] + turned * tables[1]).to(x.dtype).view(b, n, d)


Cache = list[tuple[Tensor, Tensor]]


def prefix_pass(p: Params, image: Tensor, tap: int = 1, heads: int = 4, layers: int = 6) -> tuple[Cache, Tensor]:
    """The shared prefix `<s> <user>` and image: each block's keys and values, and block `tap`'s output at the image's positions.

    image [b, 144, 256]; keys (turned) and values [b, 146, 256]; the output [b, 144, 256].
    """
    dtype = p[DECODER + "layers.0.mlp.up_proj.weight"].dtype
    lead = p[DECODER + "embed_tokens.weight"][torch.tensor(_LEAD)].float().expand(image.shape[0], 2, -1)
    h = torch.cat([lead, image.float()], 1)
    tables = rope_tables(torch.arange(PREFIX_TOKENS)[None])
    tables = (tables[0].to(dtype), tables[1].to(dtype))
    bias = _bias(torch.ones(PREFIX_TOKENS, PREFIX_TOKENS, dtype=torch.bool).tril())
    cache: Cache = []
    tapped = h
    for i in range(layers):
        name = f"{DECODER}layers.{i}."
        x = rms(h, p[name + "input_layernorm.weight"]).to(dtype)
        k = _rotate(F.linear(x, p[name + "self_attn.k_proj.weight"]), tables, heads)
        v = F.linear(x, p[name + "self_attn.v_proj.weight"])
        cache.append((k, v))
        if i == layers - 1:  # nothing reads the image's positions behind the last block
            break
        a = _attend(_rotate(F.linear(x, p[name + "self_attn.q_proj.weight"]), tables, heads), k, v, heads, bias)
        h = h + F.linear(a, p[name + "self_attn.o_proj.weight"])
        h = h + _mlp(p, name, rms(h, p[name + "post_attention_layernorm.weight"]).to(dtype))
        if i == tap:
            tapped = h[:, 2:]
    return cache, tapped


def _mlp(p: Params, name: str, x: Tensor) -> Tensor:
    gate, up, down = (p[f"{name}mlp.{w}_proj.weight"] for w in ("gate", "up", "down"))
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def text_pass(p: Params, cache: Cache, ids: Tensor, pos: Tensor, mask: Tensor, heads: int = 4) -> Tensor:
    """Final normed states [b, t, 256] of text behind a prefix.

    ids, pos [b, t]; mask bool [b, 1, t, 146 + t], true where a text token may look.
    """
    dtype = p[DECODER + "layers.0.mlp.up_proj.weight"].dtype
    t = p[DECODER + "embed_tokens.weight"][ids].float()
    tables = rope_tables(pos)
    tables = (tables[0].to(dtype), tables[1].to(dtype))
    bias = _bias(mask)
    for i, (k, v) in enumerate(cache):
        name = f"{DECODER}layers.{i}."
        x = rms(t, p[name + "input_layernorm.weight"]).to(dtype)
        q, own = (_rotate(F.linear(x, p[f"{name}self_attn.{w}_proj.weight"]), tables, heads) for w in "qk")
        v_own = F.linear(x, p[name + "self_attn.v_proj.weight"])
        a = _attend(q, torch.cat([k, own], 1), torch.cat([v, v_own], 1), heads, bias)
        t = t + F.linear(a, p[name + "self_attn.o_proj.weight"])
        t = t + _mlp(p, name, rms(t, p[name + "post_attention_layernorm.weight"]).to(dtype))
    return rms(t, p[DECODER + "norm.weight"])


def packed_forward(p: Params, image: Tensor, ids: Tensor, pos: Tensor, mask: Tensor, tap: int = 1) -> tuple[Tensor, Tensor]:
    """`text_pass` behind `prefix_pass`: final normed states of the text, and block `tap`'s output at the image's positions."""
    cache, tapped = prefix_pass(p, image, tap)
    return text_pass(p, cache, ids, pos, mask), tapped


def logits(p: Params, normed: Tensor) -> Tensor:
    """Scores over the vocabulary by the tied output matrix."""
    embed = p[DECODER + "embed_tokens.weight"]
    dtype = p[DECODER + "layers.0.mlp.up_proj.weight"].dtype
    return F.linear(normed.to(dtype), embed.to(dtype)).float()


def block_mask(segments: Tensor) -> Tensor:
    """bool [b, 1, t, prefix + t] from segment numbers [b, t] (-1 for padding): the prefix and one's own segment's past."""
    b, t = segments.shape
    own = (segments[:, :, None] == segments[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
    return torch.cat([torch.ones(b, t, PREFIX_TOKENS, dtype=torch.bool), own], -1)[:, None]
