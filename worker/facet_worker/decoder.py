"""Find the blocks of a multimodal model's text decoder by structure, as their path differs between models and between releases of Transformers."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from facet_worker.errors import FacetError

# Prefixes differ between tools and releases; the block's number is what counts.
_HOOK = re.compile(r"^((?:.*\.)?(?:layers|blocks))\.(\d+)(?:\.output|\.hook_resid_post)?$")
_ELSEWHERE = re.compile(r"vision|visual|audio")


def _parts_of(hook: str) -> tuple[str, int]:
    match = _HOOK.search(hook)
    if not match:
        raise FacetError(f"The hook {hook!r} names no decoder block; one looks like model.layers.24.", "invalid_request")
    if _ELSEWHERE.search(match[1]):
        raise FacetError(
            f"The hook {hook!r} names no block of the text decoder.", "invalid_request", fix="Name one of it, like model.layers.24."
        )
    return match[1], int(match[2])


def layer_of(hook: str) -> int:
    """The block's number, from 0, of a hook's name in any tool's spelling, e.g. `model.layers.24`. Throws `invalid_request`."""
    return _parts_of(hook)[1]


def _candidates(model: nn.Module) -> dict[str, tuple[nn.Module, nn.ModuleList]]:
    """Lists of equal blocks that each hold an attention, by path, with the module that each lies in."""
    found = {}
    for path, module in model.named_modules():
        for name, child in module.named_children():
            if not isinstance(child, nn.ModuleList) or not len(child) or len({type(block) for block in child}) > 1:
                continue
            if all(any("attn" in part or "attention" in part for part, _ in block.named_children()) for block in child):
                found[f"{path}.{name}".lstrip(".")] = (module, child)
    return found


def _listed(found: dict[str, tuple[nn.Module, nn.ModuleList]]) -> str:
    return ", ".join(f"{path} ({len(blocks)} × {type(blocks[0]).__name__})" for path, (_, blocks) in found.items()) or "none"


def decoder_blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """The text decoder's blocks and their path: the one list of attention blocks beside the model's own input embedding.

    Raises
    ------
    FacetError : `engine_unavailable`, with the candidates, when there is not exactly one.
    """
    embedding = model.get_input_embeddings()
    found = _candidates(model)
    beside = [(path, blocks) for path, (parent, blocks) in found.items() if any(part is embedding for part in parent.children())]
    if len(beside) != 1:
        raise FacetError(
            f"The model has {len(beside)} lists of text decoder blocks where exactly one was expected; candidates: {_listed(found)}.",
            "engine_unavailable",
            fix="Serve a model whose text decoder keeps its blocks beside its token embedding.",
        )
    return beside[0]


def decoder_block(model: Any, hook: str) -> nn.Module:
    """The block that a hook names. Throws `invalid_request` where there is none, or where the path is another list's, such as the vision tower's."""
    path, blocks = decoder_blocks(model)
    named, layer = _parts_of(hook)
    found = _candidates(model)
    meant = [other for other in found if "." in named and f".{other}".endswith(f".{named}")]
    if meant and path not in meant:
        raise FacetError(
            f"The hook {hook!r} is no block of the text decoder, which is {path}; candidates: {_listed(found)}.",
            "invalid_request",
            fix=f"Name one like {path}.0.",
        )
    if layer >= len(blocks):
        raise FacetError(
            f"The hook {hook!r} attaches nowhere: {path} has {len(blocks)} blocks, counted from 0.",
            "invalid_request",
            fix="Name the hook of a block that the model has.",
        )
    return blocks[layer]
