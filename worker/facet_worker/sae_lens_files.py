"""Dictionaries that SAELens reads: its own folders, and those that it knows where to find."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.sae import file_sha256

PREFIX = "sae-lens:"
INSTALL = "pip install 'facet-worker[sae-lens]'"


def _sae_lens() -> Any:
    try:
        from sae_lens import SAE
    except ImportError as error:
        raise FacetError(
            "This dictionary is read by SAELens, which is not installed.",
            "engine_unavailable",
            fix=f"Install it with `{INSTALL}`, or convert the dictionary where it is installed: python -m facet_worker.convert_dictionary FROM TO.",
        ) from error
    return SAE


def load_sae_lens_folder(folder: Path) -> Dictionary:
    """A folder that SAELens saved. Throws `engine_unavailable` without the package, `file_invalid`, `format_unknown`."""
    sae_lens = _sae_lens()
    try:
        sae = sae_lens.load_from_disk(folder, dtype="float32")
    except Exception as error:
        raise FacetError(f"SAELens cannot read the folder {folder.name!r}: {error}", "file_invalid") from error
    return converted(sae, file_sha256(folder / "sae_weights.safetensors"))


def load_published(source: str) -> Dictionary:
    """A published one, as `sae-lens:<release>/<id>`; downloaded where it is not in Hugging Face's cache. Identified by a hash of its tensors."""
    release, slash, sae_id = source.removeprefix(PREFIX).partition("/")
    if not slash or not release or not sae_id:
        raise FacetError(f"{source!r} is not of the form {PREFIX}<release>/<id>.", "invalid_request", fix="SAELens lists releases and ids.")
    sae_lens = _sae_lens()
    try:
        sae = sae_lens.from_pretrained(release, sae_id, device="cpu")
    except Exception as error:
        raise FacetError(f"SAELens cannot load {release}/{sae_id}: {error}", "file_invalid") from error
    digest = hashlib.sha256()
    for name, part in sorted(sae.state_dict().items()):
        digest.update(name.encode())
        digest.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return converted(sae, digest.hexdigest())


def _refuse(what: str) -> FacetError:
    return FacetError(f"SAELens' dictionary {what}, which is not served.", "format_unknown", fix="Serve a plain sparse autoencoder.")


def converted(sae: Any, sha256: str) -> Dictionary:
    """SAELens' own object as a `Dictionary`, once both make the same of some hidden states. Throws `format_unknown` or `file_invalid`."""
    config = sae.cfg
    architecture = str(config.architecture())
    if config.normalize_activations not in ("none", "expected_average_only_in"):
        raise _refuse(f"normalises its inputs ({config.normalize_activations})")
    if getattr(config, "reshape_activations", "none") != "none":
        raise _refuse(f"reshapes its inputs ({config.reshape_activations})")
    if getattr(config, "rescale_acts_by_decoder_norm", False):
        sae.fold_W_dec_norm()
        config.rescale_acts_by_decoder_norm = False
    parts = {name: part.detach().float() for name, part in sae.state_dict().items()}
    shared: dict[str, Any] = {
        "subtract_b_dec": bool(config.apply_b_dec_to_input),
        "sha256": sha256,
        "hook": getattr(config.metadata, "hook_name", None),
    }
    w_enc, w_dec, b_dec = parts["W_enc"].T.contiguous(), parts["W_dec"], parts["b_dec"]
    if architecture == "standard":
        ours = Dictionary(w_enc, parts["b_enc"], w_dec, b_dec, "relu", **shared)
    elif architecture == "topk":
        ours = Dictionary(w_enc, parts["b_enc"], w_dec, b_dec, "topk", int(config.k), **shared)
    elif architecture == "jumprelu":
        ours = Dictionary(w_enc, parts["b_enc"], w_dec, b_dec, "jumprelu", None, parts["threshold"], **shared)
    elif architecture == "gated":
        gate: dict[str, Any] = {"r_mag": parts["r_mag"], "b_mag": parts["b_mag"]}
        ours = Dictionary(w_enc, parts["b_gate"], w_dec, b_dec, "gated", **gate, **shared)
    else:
        raise _refuse(f"is of the architecture {architecture!r}")
    _same(sae, ours)
    return ours


def _same(sae: Any, ours: Dictionary) -> None:
    generator = torch.Generator().manual_seed(0)
    # Around b_dec and along decoder rows, so that latents do fire.
    picked = torch.randint(ours.num_latents, (8,), generator=generator)
    rows = ours.w_dec[picked] / ours.w_dec[picked].norm(dim=1, keepdim=True).clamp(min=1e-6)
    x = ours.b_dec + rows * torch.linspace(1, 50, 8)[:, None] + 0.1 * torch.randn(8, ours.width, generator=generator)
    with torch.no_grad():
        theirs = sae.decode(sae.encode(x)).float()
    made = ours.decode(*ours.encode(x))
    far = float((made - theirs).norm() / theirs.norm().clamp(min=1e-12))
    if not far < 1e-3:
        raise FacetError(f"What is made of SAELens' dictionary differs from SAELens' own by {far:.2g}.", "file_invalid")
