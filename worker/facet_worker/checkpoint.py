"""A stock Hugging Face LLaVA checkpoint with what the pipeline needs to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, LlavaForConditionalGeneration

from facet_worker.errors import FacetError
from facet_worker.sae import file_sha256

WEIGHTS_FILE = "model.safetensors"


@dataclass
class Checkpoint:
    """The model in float32, evaluation mode, with its tokenizer and the numbers of its image grid."""

    model: Any
    processor: Any
    folder: Path
    sha256: str

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def image_token(self) -> int:
        return int(self.model.config.image_token_id)

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.model.config.vision_config.image_size)

    @property
    def grid(self) -> int:
        """Rows (and columns) of image tokens."""
        return self.image_size // int(self.model.config.vision_config.patch_size)

    @property
    def layers(self) -> int:
        return int(self.model.config.text_config.num_hidden_layers)

    @property
    def width(self) -> int:
        return int(self.model.config.text_config.hidden_size)

    def pixels(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Model input float32 [B, 3, S, S] from pixels uint8 [B, S, S, 3] that already have the model's size."""
        ip = self.processor.image_processor
        mean, std = (torch.tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in (ip.image_mean, ip.image_std))
        x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
        return ((x - mean) / std).contiguous()

    def resize(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Any image squashed to the model's square, antialiased bilinear: uint8 [S, S, 3]."""
        return np.asarray(image.convert("RGB").resize((self.image_size, self.image_size), Image.Resampling.BILINEAR))

    def ids_of(self, prompt: str) -> list[int]:
        """Token ids of a templated prompt, each image placeholder widened to the image's tokens."""
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        out: list[int] = []
        for i in ids:
            out += [i] * (self.grid * self.grid) if i == self.image_token else [i]
        return out

    def prompt(self, turns: list[tuple[str, str]], image: bool = True) -> str:
        """The chat template over (role, text) turns; an open prompt (ending where the assistant writes) after a user's turn."""
        messages = []
        for i, (role, text) in enumerate(turns):
            content: list[dict[str, str]] = [{"type": "image"}] if image and i == 0 else []
            messages.append({"role": role, "content": [*content, {"type": "text", "text": text}]})
        out: str = self.processor.apply_chat_template(messages, add_generation_prompt=turns[-1][0] == "user", tokenize=False)
        return out

    def shown_tokens(self, ids: list[int]) -> list[str]:
        """Tokens as people read them: words with the space before them, special tokens bare; image tokens left out."""
        special = {i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        words = self.tokenizer.convert_ids_to_tokens(ids)
        return [w if i in special else f" {w}" for i, w in zip(ids, words, strict=True) if i != self.image_token]


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load a folder that stock Transformers loads.

    Raises
    ------
    FacetError : when the folder holds no single `model.safetensors`, or is no square-image LLaVA.
    """
    if not (folder / WEIGHTS_FILE).is_file():
        raise FacetError(f"The folder {folder.name!r} holds no {WEIGHTS_FILE}.")
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    for p in model.parameters():
        p.requires_grad_(False)
    processor = AutoProcessor.from_pretrained(folder, backend="pil")
    return Checkpoint(model, processor, folder, file_sha256(folder / WEIGHTS_FILE))
