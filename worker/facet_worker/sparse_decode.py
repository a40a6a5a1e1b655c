"""Σ aᵢ W_dec[i]: sparsify's Triton kernels where they run, in training with their gradients too, else plain PyTorch in bounded memory."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ROWS_AT_ONCE = 8
"""Rows whose gradients one program of sparsify's kernel adds up; it takes matrices of a multiple of them."""


@functools.cache
def _kernel() -> Any:
    """sparsify's kernel, which adds up in float32 and reads each row once; None where the package or Triton is not installed."""
    try:
        # It says on standard output how it decodes.
        with contextlib.redirect_stdout(io.StringIO()):
            from sparsify.xformers import embedding_bag_k
    except ImportError:
        return None
    return embedding_bag_k


def decode_fused(indices: Tensor, values: Tensor, w_dec: Tensor) -> Tensor | None:
    """float32 [R, D] from latents [R, n], by the kernel; None where there is none.

    Its own wrapper rounds the sum to the weights' dtype; here it is written as float32.
    """
    kernel = _kernel()
    if kernel is None:
        return None
    rows, width = len(indices), w_dec.shape[1]
    out = torch.empty(rows, width, device=w_dec.device)
    if rows:
        size = 1 << (width - 1).bit_length()
        kernel[(rows,)](
            out,
            indices.contiguous(),
            w_dec,
            values.float().contiguous(),
            dim=width,
            dim_padded=size,
            bag_size=indices.shape[1],
            num_warps=min(8, max(1, size // 512)),
            num_stages=1,
        )
    return out


class _Fused(torch.autograd.Function):
    """Sums of rows by sparsify's kernels, forward and back.

    Which token comes when among a row's is sorted here, where sparsify's own wrapper leaves it to chance: so sums are the same in every run, and a
    training that goes on from a checkpoint is the one that nobody ended.
    """

    @staticmethod
    def forward(ctx: Any, indices: Tensor, values: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(indices, values, rows)
        out = decode_fused(indices, values, rows)
        assert out is not None
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        from sparsify.xformers import aggregate_gradient_for_embedding_k

        indices, values, rows = ctx.saved_tensors
        count, width = rows.shape
        flat = indices.reshape(-1)
        often = torch.bincount(flat, minlength=count)
        to_rows, to_values = torch.empty_like(rows), torch.empty_like(values)
        aggregate_gradient_for_embedding_k[(count // _ROWS_AT_ONCE,)](
            weight_grad_ptr=to_rows,
            per_sample_weights_grad_ptr=to_values,
            emb_argsorted_ptr=often.argsort(descending=True, stable=True),
            weight_ptr=rows,
            emb_begin_pos_ptr=torch.cat([often.new_zeros(1), often.cumsum(0)]),
            reverse_mapping_ptr=flat.argsort(stable=True),
            per_sample_weights_ptr=values,
            gradient_ptr=grads[0].contiguous(),
            dim=width,
            dim_padded=1 << (width - 1).bit_length(),
            bag_size=indices.shape[1],
            B=len(indices),
            K=count,
            BLOCK_SIZE=_ROWS_AT_ONCE,
            num_warps=1,
        )
        return None, to_values, to_rows


def summed_rows(indices: Tensor, values: Tensor, rows: Tensor, fused: bool | None = None) -> Tensor:
    """Σ valuesᵢ rows[indicesᵢ], float32 [R, D] from indices and values [R, n] and rows [L, D], to be differentiated by values and rows.

    Parameters
    ----------
    fused : by sparsify's kernels; left out, where there is a GPU and they are installed
    """
    if fused is None:
        fused = rows.is_cuda and len(rows) % _ROWS_AT_ONCE == 0 and _kernel() is not None
    if fused:
        summed: Tensor = _Fused.apply(indices.contiguous(), values.contiguous(), rows.contiguous())
        return summed
    return F.embedding_bag(indices, rows, per_sample_weights=values, mode="sum")


def decode_in_blocks(indices: Tensor, values: Tensor, w_dec: Tensor, most_bytes: int) -> Tensor:
    """The same by gathering rows, at most `most_bytes` of them at a time."""
    out = torch.empty(len(indices), w_dec.shape[1], device=values.device)
    step = max(1, most_bytes // (4 * w_dec.shape[1] * indices.shape[1]))
    for at in range(0, len(indices), step):
        rows = slice(at, at + step)
        torch.bmm(values[rows, None].float(), w_dec[indices[rows]].float(), out=out[rows, None])
    return out
