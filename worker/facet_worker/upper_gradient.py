"""The blocks behind a hook with their own backward pass written out, so that a metric's gradient is a plain graph of the operations every runtime has.

Held equal to PyTorch's autograd by a test. Decoder blocks of the Llama family, as `split.Blocks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.errors import FacetError
from facet_worker.hooks import find_blocks
from facet_worker.split import UpperPart


@dataclass
class _Norm:
    """What the backward pass of an RMS norm needs: the normed state before its weight, and the factor that normed it."""

    normed: Tensor
    factor: Tensor


def _norm(module: Any, x: Tensor) -> tuple[Tensor, _Norm]:
    factor = torch.rsqrt((x * x).mean(-1, keepdim=True) + module.variance_epsilon)
    normed = x * factor
    return normed * module.weight, _Norm(normed, factor)


def _norm_back(module: Any, saved: _Norm, dy: Tensor) -> Tensor:
    dn = dy * module.weight
    return saved.factor * (dn - saved.normed * (dn * saved.normed).mean(-1, keepdim=True))


def gradient_refusal(model: Any) -> str | None:
    """Why the blocks' backward pass is not written here; None where it is."""
    act = model.config.get_text_config().hidden_act
    biased = any(module.bias is not None for block in find_blocks(model) for module in block.modules() if hasattr(module, "in_features"))
    if act in ("silu", "swish") and not biased:
        return None
    return "The gradient is exported for Llama blocks without biases and with SiLU only."


class UpperGradient(UpperPart):
    """hidden [B, T, D] → a metric of the logits behind it, [B], its gradient [B, T, D], and the logits at the positions read, [B, M, V].

    metric = Σ_m (Σ_v selector[m, v] · logits[m, v] − normalizer[m] · ln Σ_v exp logits[m, v]); what stands at different rows of the batch does not meet.
    """

    def __init__(self, model: Any, layer: int) -> None:
        super().__init__(model, layer)
        refusal = gradient_refusal(model)
        if refusal:
            raise FacetError(refusal, "engine_unavailable")

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], -1, self.head_dim).transpose(1, 2)

    def _flat(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)

    def _turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        half = self.head_dim // 2
        return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin

    def _turned_back(self, dy: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        half, ds = self.head_dim // 2, dy * sin
        return dy * cos + torch.cat([ds[..., half:], -ds[..., :half]], -1)

    def _block(self, block: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        attention, mlp, groups = block.self_attn, block.mlp, self.heads // self.kv_heads
        a, norm1 = _norm(block.input_layernorm, x)
        q, k, v = (self._heads(F.linear(a, p.weight)) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        q, k = self._turned(q, cos, sin), self._turned(k, cos, sin)
        if groups > 1:
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        p = torch.softmax(q @ k.transpose(2, 3) * self.head_dim**-0.5 + mask, -1)
        x = x + F.linear(self._flat(p @ v), attention.o_proj.weight)
        b, norm2 = _norm(block.post_attention_layernorm, x)
        gate, up = F.linear(b, mlp.gate_proj.weight), F.linear(b, mlp.up_proj.weight)
        sigmoid = torch.sigmoid(gate)
        x = x + F.linear(gate * sigmoid * up, mlp.down_proj.weight)
        return x, (norm1, q, k, v, p, norm2, gate, up, sigmoid)

    def _block_back(self, block: Any, saved: tuple[Any, ...], dx: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        attention, mlp, groups = block.self_attn, block.mlp, self.heads // self.kv_heads
        norm1, q, k, v, p, norm2, gate, up, sigmoid = saved
        dm = dx @ mlp.down_proj.weight
        dgate = dm * up * sigmoid * (1 + gate * (1 - sigmoid))
        db = dgate @ mlp.gate_proj.weight + (dm * gate * sigmoid) @ mlp.up_proj.weight
        dx = dx + _norm_back(block.post_attention_layernorm, norm2, db)
        do = self._heads(dx @ attention.o_proj.weight)
        dp = do @ v.transpose(2, 3)
        ds = p * (dp - (dp * p).sum(-1, keepdim=True)) * self.head_dim**-0.5
        dq, dk, dv = ds @ k, ds.transpose(2, 3) @ q, p.transpose(2, 3) @ do
        if groups > 1:
            dk, dv = (t.reshape(t.shape[0], self.kv_heads, groups, t.shape[2], t.shape[3]).sum(2) for t in (dk, dv))
        dq, dk = self._turned_back(dq, cos, sin), self._turned_back(dk, cos, sin)
        parts = ((dq, attention.q_proj), (dk, attention.k_proj), (dv, attention.v_proj))
        da = sum((self._flat(t) @ module.weight for t, module in parts), torch.zeros_like(dx))
        return dx + _norm_back(block.input_layernorm, norm1, da)

    def forward(self, x: Tensor, *read: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """`read`: positions int64 [M], selector [M, V] and normalizer [M]."""
        positions, selector, normalizer = read
        length = x.shape[1]
        steps = torch.arange(length)
        mask = torch.where(steps[None, :] <= steps[:, None], 0.0, float("-inf"))[None, None]
        angle = steps.float()[:, None] * self.inv_freq
        angle = torch.cat([angle, angle], -1)
        cos, sin = angle.cos() * self.scaling, angle.sin() * self.scaling
        saved = []
        for block in self.blocks:
            x, kept = self._block(block, x, cos, sin, mask)
            saved.append(kept)
        states, norm = _norm(self.norm, x)
        logits = F.linear(states.index_select(1, positions), self.head.weight)
        peak = logits.max(-1, keepdim=True).values
        weights = torch.exp(logits - peak)
        mass = weights.sum(-1, keepdim=True)
        normal = (torch.log(mass) + peak)[..., 0]
        metric = (selector * logits).sum((1, 2)) - (normalizer * normal).sum(1)
        dlogits = selector - normalizer[:, None] * weights / mass
        # Several of the positions read may be the same one: their gradients add up there.
        places = (positions[:, None] == steps[None, :]).float()
        dstates = torch.einsum("mt,bmd->btd", places, dlogits @ self.head.weight)
        dx = _norm_back(self.norm, norm, dstates)
        for block, kept in zip(reversed(list(self.blocks)), reversed(saved), strict=True):
            dx = self._block_back(block, kept, dx, cos, sin)
        return metric, dx, logits
