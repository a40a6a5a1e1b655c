"""A LLaVA cut at a hook: vision and projector, embedding, lower blocks, upper blocks, with explicit caches.

This is the arithmetic that the ONNX graphs hold and that steering in Python runs on. It reads the stock modules' own weights, so
there is one set of weights; a test holds it equal to the stock forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facet_worker.errors import FacetError
from facet_worker.hooks import find_blocks

# keys and values of the blocks in order: k0, v0, k1, v1, …, each [batch, kv_heads, length, head_dim]
Caches = list[Tensor]


class VisionPart(nn.Module):
    """pixel_values [B, 3, S, S] → image_embeds [B, rows·cols, width]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        if model.config.vision_feature_select_strategy != "full" or not isinstance(model.config.vision_feature_layer, int):
            raise FacetError("Only LLaVA models that use every patch of one vision layer are supported.")
        self.tower = model.model.vision_tower
        self.projector = model.model.multi_modal_projector
        self.layer = int(model.config.vision_feature_layer)

    def forward(self, pixel_values: Tensor) -> Tensor:
        hidden = self.tower(pixel_values, output_hidden_states=True, return_dict=True).hidden_states
        out: Tensor = self.projector(hidden[self.layer])
        return out


class Blocks(nn.Module):
    """Some consecutive decoder blocks of the Llama family with their caches as plain tensors.

    Positions are counted from the cache's length, so a call needs no position ids; every row of a batch has the same length.
    """

    def __init__(self, model: Any, first: int, last: int) -> None:
        super().__init__()
        blocks = find_blocks(model)
        config = model.config.text_config
        self.blocks = nn.ModuleList(blocks[first:last])
        self.heads = int(config.num_attention_heads)
        self.kv_heads = int(config.num_key_value_heads)
        self.head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        rotary = model.model.language_model.rotary_emb
        self.inv_freq: Tensor
        self.register_buffer("inv_freq", rotary.inv_freq.detach().float().clone(), persistent=False)
        self.scaling = float(rotary.attention_scaling)

    def empty(self, batch: int) -> Caches:
        """Caches of length 0."""
        return [torch.zeros(batch, self.kv_heads, 0, self.head_dim) for _ in range(2 * len(self.blocks))]

    def _attend(
        self, block: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, _ = x.shape
        attention = block.self_attn
        q, k, v = (
            p(x).view(batch, length, -1, self.head_dim).transpose(1, 2) for p in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k = (t * cos + torch.cat([-t[..., self.head_dim // 2 :], t[..., : self.head_dim // 2]], -1) * sin for t in (q, k))
        key, value = torch.cat([key, k], 2), torch.cat([value, v], 2)
        kk, vv = key, value
        if self.kv_heads != self.heads:
            kk, vv = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (key, value))
        out = F.scaled_dot_product_attention(q, kk, vv, attn_mask=mask)
        return attention.o_proj(out.transpose(1, 2).reshape(batch, length, -1)), key, value

    def forward(self, x: Tensor, *past: Tensor) -> tuple[Tensor, list[Tensor]]:
        """hidden [B, T, width] and the caches so far → hidden behind the last block, whole caches of length P + T."""
        length, behind = x.shape[1], past[0].shape[2]
        queries = torch.arange(length) + behind
        keys = torch.arange(behind + length)
        mask = (keys[None, :] <= queries[:, None])[None, None]
        angle = queries.float()[:, None] * self.inv_freq
        angle = torch.cat([angle, angle], -1)
        cos, sin = angle.cos() * self.scaling, angle.sin() * self.scaling
        caches: list[Tensor] = []
        for i in range(len(self.blocks)):
            block: Any = self.blocks[i]
            attended, key, value = self._attend(block, block.input_layernorm(x), cos, sin, mask, past[2 * i], past[2 * i + 1])
            x = x + attended
            x = x + block.mlp(block.post_attention_layernorm(x))
            caches += [key, value]
        return x, caches


class LowerPart(Blocks):
    """Blocks 0..layer: embeds → the hidden state at the hook."""

    def __init__(self, model: Any, layer: int) -> None:
        super().__init__(model, 0, layer + 1)


class UpperPart(Blocks):
    """Blocks behind the hook, the final norm and the output matrix: hidden → logits [B, T, vocab]."""

    def __init__(self, model: Any, layer: int) -> None:
        super().__init__(model, layer + 1, len(find_blocks(model)))
        if not len(self.blocks):
            raise FacetError(f"Block {layer} is the last one: no block is left behind the hook.")
        self.norm = model.model.language_model.norm
        self.head = model.lm_head

    def forward(self, x: Tensor, *past: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, caches = super().forward(x, *past)
        return self.head(self.norm(x)), caches


class SplitModel:
    """The four parts of one model at one hook."""

    def __init__(self, model: Any, layer: int) -> None:
        self.layer = layer
        self.vision = VisionPart(model)
        self.embedding: nn.Module = model.get_input_embeddings()
        self.lower = LowerPart(model, layer)
        self.upper = UpperPart(model, layer)
        self.image_token = int(model.config.image_token_id)

    def embed(self, input_ids: Tensor, image_embeds: Tensor | None) -> Tensor:
        """Embeddings [B, T, width] of ids [B, T], the image's tokens in the places that hold its id.

        Raises
        ------
        FacetError : when the ids have another number of image places than the images have tokens.
        """
        embeds: Tensor = self.embedding(input_ids)
        places = input_ids == self.image_token
        wanted = 0 if image_embeds is None else image_embeds.shape[0] * image_embeds.shape[1]
        if int(places.sum()) != wanted:
            raise FacetError(f"The prompt has {int(places.sum())} image places for {wanted} image tokens.")
        if image_embeds is not None:
            embeds = embeds.clone()
            embeds[places] = image_embeds.reshape(wanted, -1)
        return embeds
