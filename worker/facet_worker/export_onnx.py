"""Export a checkpoint cut at its hooks to ONNX graphs that share `model.safetensors` and `sae.safetensors`.

The graphs compute in float32; docs/formats.md lists their inputs and outputs.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from facet_worker.checkpoint import WEIGHTS_FILE, Checkpoint
from facet_worker.hooks import hook_name
from facet_worker.sae import WEIGHTS_FILE as SAE_FILE
from facet_worker.sae import TopKSae
from facet_worker.shared_weights import share_weights
from facet_worker.split import Blocks, LowerPart, UpperPart, VisionPart
from facet_worker.upper_gradient import UpperGradient, gradient_refusal

OPSET = 18


class _Decoder(nn.Module):
    """Blocks with their caches as one flat tuple of outputs."""

    def __init__(self, part: Blocks) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        out, caches = self.part(x, *past)
        return (out, *caches)


class _Embedding(nn.Module):
    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, input_ids: Tensor) -> Tensor:
        out: Tensor = self.embedding(input_ids)
        return out


class _Whole(nn.Module):
    """input_ids → logits through every block, uncut."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.embedding = checkpoint.model.get_input_embeddings()
        self.part = Blocks(checkpoint.model, 0, checkpoint.layers)
        self.norm, self.head = checkpoint.model.model.language_model.norm, checkpoint.model.lm_head

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        out, caches = self.part(self.embedding(input_ids), *past)
        return (self.head(self.norm(out)), *caches)


class _Encoder(nn.Module):
    """hidden [N, D] → the k largest activations of each row."""

    def __init__(self, sae: TopKSae) -> None:
        super().__init__()
        self.weight, self.bias, self.shift = (nn.Parameter(t, requires_grad=False) for t in (sae.w_enc, sae.b_enc, sae.b_dec))
        self.k = sae.k

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        pre = torch.relu(torch.nn.functional.linear(hidden - self.shift, self.weight, self.bias))
        values, indices = torch.topk(pre, self.k, dim=1)
        return indices, values


def _export(
    module: nn.Module, args: tuple[Any, ...], inputs: list[str], outputs: list[str], shapes: Any, path: Path, weights: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), args, input_names=inputs, output_names=outputs, dynamic_shapes=shapes, opset_version=OPSET, dynamo=True, optimize=False,
            verbose=False,
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    share_weights(proto, weights)
    _strip(proto)
    onnx.save(proto, path)


def _strip(proto: onnx.ModelProto) -> None:
    """Drop what the exporter notes about its own Python files: it is large, and says where they lay."""
    del proto.metadata_props[:]
    proto.doc_string = ""
    proto.graph.doc_string = ""
    for node in [*proto.graph.node, *(n for f in proto.functions for n in f.node)]:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*proto.graph.input, *proto.graph.output]:
        del value.metadata_props[:]


def _export_decoder(part: Blocks, first: int, output: str, width: int, path: Path, weights: Path) -> None:
    batch, length, behind = 2, 5, 3
    past = [torch.randn(batch, part.kv_heads, behind, part.head_dim) for _ in range(2 * len(part.blocks))]
    names = [f"{kind}.{first + i}" for i in range(len(part.blocks)) for kind in ("key", "value")]
    b, t, p = Dim("batch"), Dim("length"), Dim("past")
    # torch.export sees `*past` as one argument that holds a tuple
    shapes = ({0: b, 1: t}, tuple({0: b, 2: p} for _ in past))
    _export(
        _Decoder(part), (torch.randn(batch, length, width), *past),
        ["embeds" if output == "hidden" else "hidden", *[f"past_{n}" for n in names]], [output, *names], shapes, path, weights,
    )  # fmt: skip


def export_model(checkpoint: Checkpoint, layers: Sequence[int], folder: Path | None = None) -> list[Path]:
    """Write `vision.onnx`, `embed.onnx` and, for each hook, `lower.<hook>.onnx`, `upper.<hook>.onnx` and `gradient.<hook>.onnx`.

    The last is left out for blocks whose backward pass is not written (`gradient_refusal`): such a model steers and does not attribute.

    Parameters
    ----------
    layers : the hooks' blocks
    folder : where `model.safetensors` lies and the graphs go; the checkpoint's own by default

    Raises
    ------
    FacetError : when a weight of the model is not in `model.safetensors` as float16.
    """
    folder = folder or checkpoint.folder
    weights = folder / WEIGHTS_FILE
    model, size, width = checkpoint.model, checkpoint.image_size, checkpoint.width
    written = [folder / "vision.onnx", folder / "embed.onnx"]
    batch, length = Dim("batch"), Dim("length")
    _export(VisionPart(model), (torch.randn(2, 3, size, size),), ["pixel_values"], ["image_embeds"], ({0: batch},), written[0], weights)
    _export(
        _Embedding(model.get_input_embeddings()), (torch.ones(2, 5, dtype=torch.long),), ["input_ids"], ["embeds"], ({0: batch, 1: length},), written[1],
        weights,
    )  # fmt: skip
    for layer in layers:
        lower, upper = folder / f"lower.{hook_name(layer)}.onnx", folder / f"upper.{hook_name(layer)}.onnx"
        _export_decoder(LowerPart(model, layer), 0, "hidden", width, lower, weights)
        _export_decoder(UpperPart(model, layer), layer + 1, "logits", width, upper, weights)
        written += [lower, upper]
        if gradient_refusal(model) is None:
            written.append(export_gradient(checkpoint, layer, folder))
    return written


def export_gradient(checkpoint: Checkpoint, layer: int, folder: Path | None = None) -> Path:
    """Write `gradient.<hook>.onnx` beside the weights: a metric of the logits behind a hook and its gradient (see `UpperGradient`).

    Raises
    ------
    FacetError : `engine_unavailable` for blocks whose backward pass is not written, and as `export_model`.
    """
    folder = folder or checkpoint.folder
    path = folder / f"gradient.{hook_name(layer)}.onnx"
    part = UpperGradient(checkpoint.model, layer)
    vocabulary = part.head.weight.shape[0]
    b, t, m = Dim("batch"), Dim("length"), Dim("read")
    _export(
        part, (torch.randn(2, 5, checkpoint.width), torch.tensor([1, 3, 4]), torch.randn(3, vocabulary), torch.randn(3)),
        ["hidden", "positions", "selector", "normalizer"], ["metric", "gradient", "logits"],
        ({0: b, 1: t}, ({0: m}, {0: m}, {0: m})), path, folder / WEIGHTS_FILE,
    )  # fmt: skip
    return path


def export_whole(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write `whole.onnx`, the language model in one piece, and beside it the weights: what the cut graphs are measured against (bench/steering.ts).

    Raises
    ------
    FacetError : when a weight of the model is not in `model.safetensors` as float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = Path(shutil.copy(checkpoint.folder / WEIGHTS_FILE, folder / WEIGHTS_FILE))
    whole, path = _Whole(checkpoint), folder / "whole.onnx"
    past = [torch.randn(2, whole.part.kv_heads, 3, whole.part.head_dim) for _ in range(2 * checkpoint.layers)]
    names = [f"{kind}.{i}" for i in range(checkpoint.layers) for kind in ("key", "value")]
    b, t, p = Dim("batch"), Dim("length"), Dim("past")
    shapes = ({0: b, 1: t}, tuple({0: b, 2: p} for _ in past))
    _export(
        whole, (torch.ones(2, 5, dtype=torch.long), *past), ["input_ids", *[f"past_{n}" for n in names]], ["logits", *names], shapes, path, weights,
    )  # fmt: skip
    return path


def export_encoder(sae_folder: Path) -> Path:
    """Write `encode.onnx` beside a dictionary's `sae.safetensors`."""
    sae = TopKSae.load(sae_folder)
    path = sae_folder / "encode.onnx"
    rows = Dim("rows")
    _export(_Encoder(sae), (torch.randn(7, sae.width),), ["hidden"], ["indices", "values"], ({0: rows},), path, sae_folder / SAE_FILE)
    return path
