"""A multimodal checkpoint from a folder or a hub, through Transformers' own classes: safetensors only, and no code from a hub is run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

from facet_worker.errors import FacetError
from facet_worker.sae import file_sha256

FETCHED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""What is fetched from a hub: weights as safetensors, and what describes them and the tokens. Neither pickles nor code."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class LoadedModel:
    """`sha256` is that of its weights, `folder` where they lie."""

    model: Any
    processor: Any
    sha256: str
    folder: Path


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a checkpoint's safetensors: of the file where it is one, else of the list of its files' hashes. Throws `file_invalid`."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FacetError(f"The folder {folder.name!r} holds no safetensors; no other weights are loaded.", "file_invalid")
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(f"{file_sha256(file)}  {file.name}\n" for file in files).encode()).hexdigest()


def _from_hub(model: str, revision: str | None) -> Path:
    if revision is None:
        raise FacetError(f"The hub's model {model} was named without a revision.", "invalid_request", fix="Pin it to a commit's hash.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=FETCHED))
    except Exception as error:
        raise FacetError(
            f"The hub did not give {model} at {revision}: {_first_line(error)}.",
            "not_found",
            fix="Check the id, the commit and the network, or name a folder.",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")


def _load(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    try:
        model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True, trust_remote_code=False)
        # Pictures go through PIL, as in the app; a processor of videos, which some families bring along, has no such backend.
        processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise FacetError(
            f"Transformers loads no image-text-to-text model from {folder.name!r}: {_first_line(error)}.",
            "file_invalid",
            fix="Serve a whole folder of a model that Transformers has a class of its own for; code that comes with a model is not run.",
        ) from error
    return model, processor


def load_model(model: str | Path, revision: str | None = None, device: str = "cpu", dtype: str = "float32") -> LoadedModel:
    """A folder, or a hub id together with the `revision` to pin it to. Throws `invalid_request`, `not_found` or `file_invalid`."""
    folder = Path(model)
    if not folder.is_dir():
        folder = _from_hub(str(model), revision)
    sha256 = weights_sha256(folder)
    loaded, processor = _load(folder, DTYPES[dtype])
    return LoadedModel(loaded.to(device).eval().requires_grad_(False), processor, sha256, folder)
