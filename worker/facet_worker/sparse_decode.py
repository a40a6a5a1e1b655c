"""Σ aᵢ W_dec[i] for matrices that are not float32: sparsify's Triton kernel where it runs, else plain PyTorch in bounded memory."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import Any

import torch
from torch import Tensor


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


def decode_in_blocks(indices: Tensor, values: Tensor, w_dec: Tensor, most_bytes: int) -> Tensor:
    """The same by gathering rows, at most `most_bytes` of them at a time."""
    out = torch.empty(len(indices), w_dec.shape[1], device=values.device)
    step = max(1, most_bytes // (4 * w_dec.shape[1] * indices.shape[1]))
    for at in range(0, len(indices), step):
        rows = slice(at, at + step)
        torch.bmm(values[rows, None].float(), w_dec[indices[rows]].float(), out=out[rows, None])
    return out
