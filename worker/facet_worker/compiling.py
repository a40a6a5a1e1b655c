"""Compiling a model's blocks with `torch.compile` so that hooks stay outside of what is compiled."""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch

from facet_worker.decoder import decoder_blocks
from facet_worker.errors import FacetError

# Prompt, first token and any token; each of these once more where several rows run side by side, and again for a gradient, with room to spare.
_GRAPHS_A_BLOCK = 32


def find_compiler() -> str | None:
    """The C++ compiler that inductor writes for a processor with: CXX where it is set, else what is on the path."""
    named = os.environ.get("CXX", "")
    return next((found for name in ([named] if named else ["c++", "g++", "clang++"]) if (found := shutil.which(name))), None)


def check_compiler(device: str) -> None:
    """Throws `engine_unavailable` where `inductor` could not compile for the device; it would else fail with the first request."""
    if device.startswith("cuda") or find_compiler() is not None:
        return
    raise FacetError(
        "Compiling for a processor takes a C++ compiler, and there is none here.",
        "engine_unavailable",
        fix="Install one (g++ or clang++), name it in CXX, or start without --compile.",
    )


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
