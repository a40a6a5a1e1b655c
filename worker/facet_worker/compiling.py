"""Compiling a model's blocks with `torch.compile` so that hooks stay outside of what is compiled."""

from __future__ import annotations

from typing import Any

import torch

from facet_worker.decoder import decoder_blocks

# Prompt, first token and any token; each of these once more where several rows run side by side, with room to spare.
_GRAPHS_A_BLOCK = 12


def compile_blocks(model: Any, backend: str = "inductor") -> int:
    """Compile each block of the text decoder by itself; answers how many there are.

    A model compiled as a whole takes in hooks that are there when it is compiled and never looks again. Here a block's `forward` is compiled, and
    PyTorch calls hooks around it, in eager mode, with what it put out.
    """
    _, blocks = decoder_blocks(model)
    # All blocks share their code, and past the limit PyTorch would quietly run further ones uncompiled.
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, _GRAPHS_A_BLOCK * len(blocks))
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, _GRAPHS_A_BLOCK * len(blocks))
    for block in blocks:
        block.forward = torch.compile(block.forward, backend=backend, dynamic=True)
    return len(blocks)
