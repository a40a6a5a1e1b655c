"""Run the exported graphs in onnxruntime as the engine does, to hold them against PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from facet_worker.checkpoint import Checkpoint
from facet_worker.hooks import hook_name
from facet_worker.sae import TopKSae
from facet_worker.split import SplitModel

Floats = npt.NDArray[np.float32]


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class OnnxDecoder:
    """The graphs of one hook with their caches."""

    def __init__(self, model_folder: Path, layer: int, sae_folder: Path | None = None) -> None:
        self.vision = _session(model_folder / "vision.onnx")
        self.embed = _session(model_folder / "embed.onnx")
        self.parts = [_session(model_folder / f"{half}.{hook_name(layer)}.onnx") for half in ("lower", "upper")]
        self.encoder = _session(sae_folder / "encode.onnx") if sae_folder else None
        self.reset()

    def reset(self) -> None:
        """Forget the conversation."""
        self.past: list[dict[str, Floats]] = []
        for part in self.parts:
            names = [i for i in part.get_inputs() if i.name.startswith("past_")]
            self.past.append({i.name: np.zeros((1, int(i.shape[1]), 0, int(i.shape[3])), np.float32) for i in names})

    def step(self, embeds: Floats) -> tuple[Floats, Floats]:
        """embeds [1, T, D] → the hidden state at the hook [1, T, D] and logits [1, T, V]."""
        x = embeds
        out = []
        for i, part in enumerate(self.parts):
            first = part.get_inputs()[0].name
            names = [o.name for o in part.get_outputs()]
            results = part.run(None, {first: x, **self.past[i]})
            self.past[i] = {f"past_{name}": value for name, value in zip(names[1:], results[1:], strict=True)}
            x = results[0]
            out.append(x)
        return out[0], out[1]

    def greedy(self, ids: list[int], pixels: Floats, image_token: int, eos: int, limit: int) -> tuple[list[int], Floats, Floats]:
        """Token ids written behind a prompt with one image, and the prompt's hidden state and logits."""
        self.reset()
        array = np.array([ids], np.int64)
        embeds = self.embed.run(None, {"input_ids": array})[0]
        embeds[array == image_token] = self.vision.run(None, {"pixel_values": pixels})[0][0]
        hidden, logits = self.step(embeds)
        first, out = (hidden, logits), []
        for _ in range(limit):
            token = int(logits[0, -1].argmax())
            out.append(token)
            if token == eos:
                break
            _, logits = self.step(self.embed.run(None, {"input_ids": np.array([[token]], np.int64)})[0])
        return out, *first


@dataclass
class Parity:
    """How far onnxruntime is from PyTorch over some prompts."""

    prompts: int
    same_text: int
    hidden: float  # largest absolute difference at the hook
    hidden_scale: float  # largest absolute value there
    logits: float
    indices: float  # share of (token, rank) with another feature index


def check_parity(
    checkpoint: Checkpoint, layer: int, sae_folder: Path, pixels: npt.NDArray[np.uint8], prompts: list[list[int]], limit: int = 48
) -> Parity:
    """Compare greedy generation, hidden states, logits and codes, prompt by prompt.

    Parameters
    ----------
    pixels : uint8 [N, S, S, 3], one image a prompt
    prompts : N lists of ids, images widened
    """
    engine = OnnxDecoder(checkpoint.folder, layer, sae_folder)
    sae = TopKSae.load(sae_folder)
    split = SplitModel(checkpoint.model, layer)
    eos = int(checkpoint.tokenizer.eos_token_id)
    parity = Parity(len(prompts), 0, 0.0, 0.0, 0.0, 0.0)
    for image, ids in zip(pixels, prompts, strict=True):
        x = checkpoint.pixels(image[None])
        tokens, hidden, logits = engine.greedy(ids, x.numpy(), checkpoint.image_token, eos, limit)
        with torch.inference_mode():
            h, low = split.lower(split.embed(torch.tensor([ids]), split.vision(x)), *split.lower.empty(1))
            out, up = split.upper(h, *split.upper.empty(1))
            parity.hidden = max(parity.hidden, float(np.abs(h.numpy() - hidden).max()))
            parity.hidden_scale = max(parity.hidden_scale, float(h.abs().max()))
            parity.logits = max(parity.logits, float(np.abs(out.numpy() - logits).max()))
            assert engine.encoder is not None
            theirs = engine.encoder.run(None, {"hidden": h[0].numpy()})[0]
            parity.indices += float((sae.encode(h[0])[0].numpy() != theirs).mean()) / len(prompts)
            ours = []
            for _ in range(limit):
                token = int(out[0, -1].argmax())
                ours.append(token)
                if token == eos:
                    break
                y, low = split.lower(split.embedding(torch.tensor([[token]])), *low)
                out, up = split.upper(y, *up)
        parity.same_text += ours == tokens
    return parity
