"""Dictionaries from their files: the paper's and sparsify's layout, this package's own, Gemma Scope's and dictionary_learning's; SAELens' by SAELens.

Formats are told apart by their files and tensors, never by a folder's name. Nothing is unpickled. Tensors keep the dtype that they are stored in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.sae import file_sha256

OWN_CONFIG, OWN_WEIGHTS = "dictionary.json", "dictionary.safetensors"
_VECTORS = ("threshold", "r_mag", "b_mag")
Tensors = Mapping[str, Tensor]
Settings = Mapping[str, Any]


def _invalid(folder: Path, what: str, fix: str | None = None) -> FacetError:
    return FacetError(f"The dictionary in {folder.name!r} {what}.", "file_invalid", fix=fix)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _invalid(file.parent, f"has a {file.name} that is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _invalid(file.parent, f"has a {file.name} that is no object")
    return found


def _tensors(file: Path) -> tuple[Tensors, str]:
    """Tensors of one file, or of the shards that an index names, and the hash that the app knows them by. Throws `file_invalid`."""
    try:
        if file.name.endswith(".index.json"):
            shards = list(dict.fromkeys(_json(file)["weight_map"].values()))
            if any(Path(name).name != name for name in shards):
                raise _invalid(file.parent, f"has shards outside its folder in {file.name}")
            found: dict[str, Tensor] = {}
            digest = hashlib.sha256()
            for name in shards:
                found.update(load_file(file.parent / name))
                digest.update(file_sha256(file.parent / name).encode())
            return found, digest.hexdigest()
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}, file_sha256(file)
        return load_file(file), file_sha256(file)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise _invalid(file.parent, f"has a {file.name} that cannot be read: {error}") from error


def _wanted(folder: Path, sae: Dictionary, latents: Any, width: Any) -> Dictionary:
    """Holds sizes against what the settings say."""
    if (latents not in (None, sae.num_latents)) or (width not in (None, sae.width)):
        raise _invalid(folder, f"is {sae.num_latents} × {sae.width}, where its settings say {latents or 'any'} × {width or 'any'}")
    return sae


def _sparsify(folder: Path, tensors: Tensors, config: Settings) -> Dictionary:
    # Served at a block's output only, where it also writes.
    if config.get("transcode") or config.get("skip_connection"):
        raise _invalid(folder, "is a transcoder, which writes elsewhere than it reads")
    kind = "signed topk" if config.get("signed") else str(config.get("activation") or "topk")
    w_enc = tensors["encoder.weight"]
    sae = Dictionary(w_enc, tensors["encoder.bias"], tensors["W_dec"], tensors["b_dec"], kind, int(config["k"]), hook=folder.name)
    return _wanted(folder, sae, config.get("num_latents") or config["d_in"] * config["expansion_factor"], config["d_in"])


def _own(folder: Path, tensors: Tensors, config: Settings) -> Dictionary:
    extra: dict[str, Any] = {name: tensors.get(name) for name in _VECTORS}
    return Dictionary(
        tensors["W_enc"],
        tensors["b_enc"],
        tensors["W_dec"],
        tensors["b_dec"],
        str(config["activation"]),
        config.get("k"),
        **extra,
        subtract_b_dec=bool(config["subtract_b_dec"]),
        hook=config.get("hook"),
    )


def _layer_in(folder: Path) -> str | None:
    """Gemma Scope says the block in its folders' names only: `layer_12/width_16k/average_l0_82`, `layer_17_width_16k_l0_medium`."""
    for part in reversed(folder.resolve().parts):
        head, _, rest = part.partition("_")
        number = rest.partition("_")[0]
        if head == "layer" and number.isdecimal():
            return f"model.layers.{number}"
    return None


def _gemma_scope(folder: Path, tensors: Tensors, config: Settings) -> Dictionary:
    named = {name.lower(): part for name, part in tensors.items()}
    if "affine_skip_connection" in named or config.get("type", "sae") != "sae":
        raise _invalid(folder, "is a transcoder, which writes elsewhere than it reads")
    if config.get("architecture", "jump_relu") != "jump_relu":
        raise _invalid(folder, f"has the architecture {config['architecture']!r} where Gemma Scope's is jump_relu")
    w_enc, threshold = named["w_enc"].T.contiguous(), named["threshold"]
    hook = config.get("hf_hook_point_in") or _layer_in(folder)
    sae = Dictionary(w_enc, named["b_enc"], named["w_dec"], named["b_dec"], "jumprelu", None, threshold, subtract_b_dec=False, hook=hook)
    return _wanted(folder, sae, config.get("width"), None)


# dict_class: activation, and whether b_dec is subtracted.
_LEARNT: dict[str, tuple[str, bool]] = {
    "AutoEncoder": ("relu", True),
    "AutoEncoderNew": ("relu", False),
    "AutoEncoderTopK": ("topk", True),
    "BatchTopKSAE": ("batchtopk", True),
    "MatryoshkaBatchTopKSAE": ("batchtopk", True),
    "JumpReluAutoEncoder": ("jumprelu", False),
    "GatedAutoEncoder": ("gated", True),
}


def _dictionary_learning(folder: Path, tensors: Tensors, config: Settings) -> Dictionary:
    trainer = config["trainer"]
    name = str(trainer["dict_class"])
    if name not in _LEARNT:
        raise _invalid(folder, f"is a {name}, which is not served", f"Serve one of {', '.join(_LEARNT)}.")
    activation, subtract = _LEARNT[name]
    linear = "encoder.weight" in tensors
    w_enc = tensors["encoder.weight"] if linear else tensors["W_enc"].T.contiguous()
    w_dec = tensors["decoder.weight"].T.contiguous() if linear else tensors["W_dec"]
    b_enc = next((tensors[key] for key in ("encoder.bias", "b_enc", "gate_bias") if key in tensors), None)
    b_dec = next((tensors[key] for key in ("b_dec", "bias", "decoder_bias", "decoder.bias") if key in tensors), None)
    if b_enc is None or b_dec is None:
        raise _invalid(folder, "lacks its biases")
    if name == "AutoEncoder":
        # The package itself gives decoder rows unit length when it loads such a dictionary.
        norms = w_dec.float().norm(dim=1)
        w_enc, b_enc, w_dec = w_enc * norms[:, None], b_enc * norms, w_dec / norms.clamp(min=1e-30)[:, None]
    threshold = tensors["threshold"].reshape(-1) if activation in ("batchtopk", "jumprelu") else None
    k = int(trainer["k"]) if activation == "topk" else None
    submodule, layer = str(trainer.get("submodule_name") or ""), trainer.get("layer")
    hook = f"model.layers.{layer}" if layer is not None and submodule in ("", f"resid_post_layer_{layer}") else submodule or None
    if submodule.startswith("resid_post_layer_"):
        hook = f"model.layers.{submodule.removeprefix('resid_post_layer_')}"
    gate: dict[str, Any] = {"r_mag": tensors["r_mag"], "b_mag": tensors["mag_bias"]} if activation == "gated" else {}
    sae = Dictionary(w_enc, b_enc, w_dec, b_dec, activation, k, threshold, **gate, subtract_b_dec=subtract, hook=hook)
    return _wanted(folder, sae, trainer.get("dict_size"), trainer.get("activation_dim"))


Reader = Callable[[Path, Tensors, Settings], Dictionary]


def _settings(folder: Path) -> tuple[str, Settings]:
    for name in (OWN_CONFIG, "cfg.json", "config.json"):
        if (folder / name).is_file():
            return name, _json(folder / name)
    return "", {}


def _reader(folder: Path, name: str, config: Settings) -> tuple[Reader, str] | None:
    """Which reader the files are for, and the file of weights; None where none of these is."""
    there = {file.name for file in folder.iterdir()}
    if name == OWN_CONFIG and OWN_WEIGHTS in there:
        return _own, OWN_WEIGHTS
    whole = next((file for file in ("sae.safetensors.index.json", "sae.safetensors") if file in there), None)
    if name == "cfg.json" and whole and "d_in" in config and "architecture" not in config:
        return _sparsify, whole
    if "params.npz" in there or "params.safetensors" in there:
        return _gemma_scope, "params.npz" if "params.npz" in there else "params.safetensors"
    if name == "config.json" and isinstance(config.get("trainer"), dict):
        weights = sorted(file for file in there if file.endswith(".safetensors") and file != "sample.safetensors")
        if len(weights) == 1:
            return _dictionary_learning, weights[0]
    return None


def load_dictionary(source: Path | str) -> Dictionary:
    """Read a dictionary's folder, or one of SAELens' published ones as `sae-lens:<release>/<id>`.

    Raises
    ------
    FacetError : `file_invalid` with the file and what is wrong, `format_unknown`, `unsafe_format` for pickles, `engine_unavailable` where
        the package that reads the format is not installed.
    """
    from facet_worker.sae_lens_files import PREFIX, load_published, load_sae_lens_folder

    if str(source).startswith(PREFIX):
        return load_published(str(source))
    folder = Path(source)
    if not folder.is_dir():
        raise FacetError(f"There is no folder {folder.name!r} with a dictionary.", "file_invalid", fix="Name an existing folder.")
    name, config = _settings(folder)
    found = _reader(folder, name, config)
    if found is None:
        if name == "cfg.json" and (folder / "sae_weights.safetensors").is_file():
            return load_sae_lens_folder(folder)
        if any(file.suffix in (".pt", ".pth", ".bin", ".pkl") for file in folder.iterdir()):
            raise FacetError(f"The folder {folder.name!r} holds pickled weights only.", "unsafe_format")
        raise FacetError(f"The folder {folder.name!r} holds no dictionary of a known layout.", "format_unknown")
    reader, weights = found
    tensors, sha256 = _tensors(folder / weights)
    try:
        sae = reader(folder, tensors, config)
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(folder, f"lacks {error} in its settings or tensors") from error
    finite = all(bool(part.isfinite().all()) for part in (sae.w_enc, sae.w_dec, sae.b_enc, sae.b_dec))
    if not finite:
        raise _invalid(folder, "has weights that are not finite")
    sae.sha256 = sha256
    return sae


def save_dictionary(sae: Dictionary, folder: Path) -> str:
    """Write this package's own layout, with matrices as they are; answers the weights' SHA-256.

    `dictionary.json`: `activation`, `k`, `subtract_b_dec`, `hook`, `num_latents`, `width`; `dictionary.safetensors`: `W_enc`, `W_dec` [L, D],
    `b_enc` [L], `b_dec` [D] and, where the activation has them, `threshold` [L] or [1], `r_mag`, `b_mag` [L].
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"W_enc": sae.w_enc, "b_enc": sae.b_enc, "W_dec": sae.w_dec, "b_dec": sae.b_dec}
    extra = {name: part for name in _VECTORS if (part := getattr(sae, name)) is not None}
    save_file({name: part.detach().cpu().contiguous() for name, part in {**parts, **extra}.items()}, folder / OWN_WEIGHTS)
    settings = {
        "activation": sae.activation,
        "k": sae.k,
        "subtract_b_dec": sae.subtract_b_dec,
        "hook": sae.hook,
        "num_latents": sae.num_latents,
        "width": sae.width,
    }
    (folder / OWN_CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
    return file_sha256(folder / OWN_WEIGHTS)
