"""Small dictionaries written by other tools' own packages, with what those packages compute from them.

Each fixture is a folder as its tool writes it, and beside the weights `sample.safetensors`: `hidden` [N, D] hidden states, `activations` [N, L]
what the package's own `encode` makes of them, `reconstruction` [N, D] what its `decode` makes of those. Facet's readers are tested against
these numbers. The script is run by hand, in an environment of its own, because the packages do not fit beside the worker's:

    uv venv --python 3.11 fixtures-venv
    uv pip install --python fixtures-venv eai-sparsify==1.3.3 sae-lens==6.54.12 dictionary-learning==0.1.0
    fixtures-venv/bin/python worker/make_fixtures/dictionaries.py lib/formats/dictionaries/fixtures

Gemma Scope and the paper's authors' adapter have no package that writes them. Gemma Scope's files are laid out here as published and read by
sae-lens's own loaders, whose downloads are answered from the disk; the adapter's arithmetic is written out here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adapter import write_adapter
from safetensors.torch import save_file
from torch import Tensor
from worlds import LATENTS, WIDTH, World, set_weights, write_sample

# Without a GPU sparsify's decoder runs only so.
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

# eai-sparsify


def write_sparsify(root: Path) -> None:
    from sparsify import SparseCoder, SparseCoderConfig

    def make(
        folder: str, seed: int, dtype: torch.dtype | None = None, latents: int = LATENTS, stretched: bool = False, **config: Any
    ) -> Any:
        world = World(seed, latents, stretched)
        coder = SparseCoder(WIDTH, SparseCoderConfig(k=2, **config), dtype=dtype)
        set_weights(coder, encoder__weight=world.w_enc, encoder__bias=world.b_enc, W_dec=world.w_dec, b_dec=world.b_dec)
        if coder.cfg.transcode:
            # No bias is subtracted before encoding, so that it enters the encoder's.
            set_weights(coder, encoder__bias=world.b_enc - world.w_enc @ world.b_dec)
        if coder.W_skip is not None:
            set_weights(coder, W_skip=0.05 * torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(seed)))
        coder.save_to_disk(root / folder)
        exact = coder.float()

        def encode(x: Tensor) -> Tensor:
            values, indices, _ = exact.encode(x)
            return torch.zeros(len(x), exact.num_latents).scatter_(1, indices, values)

        write_sample(root / folder, world.hidden, encode, lambda x: exact(x).sae_out)
        return exact

    make("sparsify/model.layers.1", 1, num_latents=LATENTS)
    # num_latents 0: the size is d_in * expansion_factor; rows of any length; bfloat16.
    make(
        "sparsify-groupmax/layers.3",
        2,
        torch.bfloat16,
        3 * WIDTH,
        stretched=True,
        expansion_factor=3,
        activation="groupmax",
        normalize_decoder=False,
    )
    make("sparsify-transcoder/layers.2.mlp", 3, torch.float16, num_latents=LATENTS, transcode=True, skip_connection=True)
    # Rows of length 1 all the same: normalize_decoder makes SAELens forget to subtract b_dec.
    square = make("sparsify-square/layers.5", 4, latents=WIDTH, num_latents=WIDTH, normalize_decoder=False)

    from huggingface_hub import save_torch_state_dict

    whole = root / "sparsify/model.layers.1"
    shards = root / "sparsify-sharded/model.layers.1"
    shards.mkdir(parents=True)
    coder = SparseCoder.load_from_disk(whole)
    save_torch_state_dict(coder.state_dict(), shards, filename_pattern="sae{suffix}.safetensors", max_shard_size=3_000)
    for name in ("cfg.json", "sample.safetensors"):
        shutil.copyfile(whole / name, shards / name)

    # SAELens turns W_dec around when it reads sparsify's; where the matrix is square nothing stops it.
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import sparsify_disk_loader

    turned = SAE.load_from_disk(root / "sparsify-square/layers.5", converter=sparsify_disk_loader, dtype="float32")
    assert torch.equal(turned.W_dec, square.W_dec.T)
    for parameter in turned.parameters():
        parameter.data = parameter.data.contiguous()
    turned.save_model(root / "sae-lens-turned")
    shutil.copyfile(root / "sparsify-square/layers.5/sample.safetensors", root / "sae-lens-turned/sample.safetensors")


# sae-lens


def write_sae_lens(root: Path) -> None:
    from sae_lens import SAE
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

    def config(**more: Any) -> dict[str, Any]:
        metadata = SAEMetadata(model_name="gemma-2-2b", hook_name="blocks.12.hook_resid_post")
        return {"d_in": WIDTH, "d_sae": LATENTS, "metadata": metadata, **more}

    def finish(sae: Any, folder: str, world: World) -> None:
        sae.save_model(root / folder)
        exact = SAE.load_from_disk(root / folder, dtype="float32")
        write_sample(root / folder, world.hidden, exact.encode, lambda x: exact.decode(exact.encode(x)))

    def weights(world: World) -> dict[str, Tensor]:
        return {"W_enc": world.w_enc.T, "W_dec": world.w_dec, "b_dec": world.b_dec}

    world = World(11)
    standard = StandardSAE(StandardSAEConfig(**config()))
    set_weights(standard, **weights(world), b_enc=world.b_enc - 1)
    finish(standard, "sae-lens-standard", world)

    world = World(12, stretched=True)
    topk = TopKSAE(TopKSAEConfig(**config(k=2, rescale_acts_by_decoder_norm=True)))
    set_weights(topk, **weights(world), b_enc=world.b_enc)
    finish(topk, "sae-lens-topk", world)

    world = World(13)
    jumprelu = JumpReLUSAE(JumpReLUSAEConfig(**config(apply_b_dec_to_input=False, dtype="bfloat16")))
    set_weights(jumprelu, **weights(world), b_enc=world.b_enc - world.w_enc @ world.b_dec, threshold=world.threshold)
    finish(jumprelu, "sae-lens-jumprelu", world)

    world = World(14)
    gated = GatedSAE(GatedSAEConfig(**config()))
    set_weights(
        gated,
        **weights(world),
        b_gate=world.b_enc - 1.5,
        b_mag=world.b_enc,
        r_mag=0.1 * torch.randn(LATENTS, generator=torch.Generator().manual_seed(14)),
    )
    finish(gated, "sae-lens-gated", world)

    world = World(15, stretched=True)
    batch = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**config(k=2)))
    set_weights(batch, **weights(world), b_enc=world.b_enc)
    batch.topk_threshold = torch.tensor(1.6, dtype=torch.float64)
    batch.save_inference_model(root / "sae-lens-batchtopk")
    exact = SAE.load_from_disk(root / "sae-lens-batchtopk")
    write_sample(root / "sae-lens-batchtopk", world.hidden, exact.encode, lambda x: exact.decode(exact.encode(x)))

    world = World(16)
    normed = TopKSAE(TopKSAEConfig(**config(k=2, normalize_activations="layer_norm")))
    mean = world.hidden.mean(1, keepdim=True)
    scale = world.hidden.std(1, keepdim=True).mean()
    set_weights(normed, W_enc=world.w_enc.T, W_dec=world.w_dec / 1.0, b_enc=world.b_enc, b_dec=(world.b_dec - mean.mean()) / scale)
    finish(normed, "sae-lens-layer-norm", world)

    # As versions before 6 wrote it.
    world = World(17)
    old = TopKSAE(TopKSAEConfig(**config(k=2)))
    set_weights(old, **weights(world), b_enc=world.b_enc)
    folder = root / "sae-lens-old"
    old.save_model(folder)
    settings = {
        "architecture": "standard",
        "d_in": WIDTH,
        "d_sae": LATENTS,
        "dtype": "torch.float32",
        "model_name": "gpt2-small",
        "hook_point": "blocks.3.hook_resid_post",
        "hook_point_layer": 3,
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 2},
        "apply_b_dec_to_input": True,
        "normalize_activations": False,
    }
    (folder / "cfg.json").write_text(json.dumps(settings))
    exact = SAE.load_from_disk(folder)
    write_sample(folder, world.hidden, exact.encode, lambda x: exact.decode(exact.encode(x)))


# Gemma Scope, read by sae-lens


def write_gemma_scope(root: Path) -> None:
    from sae_lens.loading import pretrained_sae_loaders as loaders
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.transcoder import JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig

    def from_disk(repo_id: str, filename: str, subfolder: str | None = None, **_: Any) -> str:
        return str(root / (f"{subfolder}/{filename}" if subfolder else filename))

    loaders.hf_hub_download = from_disk  # type: ignore[attr-defined,assignment]

    def shapes(repo_id: str, filename: str) -> dict[str, list[int]]:
        from safetensors import safe_open

        with safe_open(root / filename, framework="pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118

    loaders.get_safetensors_tensor_shapes = shapes  # type: ignore[assignment]

    world = World(21)
    folder = root / "gemma-scope/layer_12/width_16k/average_l0_82"
    folder.mkdir(parents=True)
    arrays = {
        "W_dec": world.w_dec,
        "W_enc": world.w_enc.T.contiguous(),
        "b_dec": world.b_dec,
        "b_enc": world.b_enc - world.w_enc @ world.b_dec,
        "threshold": world.threshold,
    }
    np.savez(folder / "params.npz", **{name: tensor.numpy() for name, tensor in arrays.items()})
    settings, state, _ = loaders.gemma_2_sae_huggingface_loader(
        "google/gemma-scope-2b-pt-res", "gemma-scope/layer_12/width_16k/average_l0_82", cfg_overrides={"d_in": WIDTH, "d_sae": LATENTS}
    )
    sae: Any = JumpReLUSAE(JumpReLUSAEConfig(d_in=WIDTH, d_sae=LATENTS, apply_b_dec_to_input=settings["apply_b_dec_to_input"]))
    sae.load_state_dict(state)
    write_sample(folder, world.hidden, sae.encode, lambda x: sae.decode(sae.encode(x)))

    def scope_2(site: str, name: str, seed: int, transcoder: bool) -> None:
        world = World(seed, stretched=True)
        path = f"gemma-scope-2/{site}/{name}"
        folder = root / path
        folder.mkdir(parents=True)
        tensors = {
            "w_enc": world.w_enc.T,
            "w_dec": world.w_dec,
            "b_enc": world.b_enc - world.w_enc @ world.b_dec,
            "b_dec": world.b_dec,
            "threshold": world.threshold / world.w_dec.norm(dim=1),
        }
        settings = {
            "hf_hook_point_in": "model.layers.17.output",
            "hf_hook_point_out": "model.layers.17.output",
            "width": LATENTS,
            "model_name": "gemma-v3-4b-it",
            "architecture": "jump_relu",
            "l0": 20,
            "affine_connection": transcoder,
            "type": "sae",
        }
        if transcoder:
            tensors["affine_skip_connection"] = 0.05 * torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(seed))
            settings["hf_hook_point_in"] = "model.layers.17.pre_feedforward_layernorm.output"
            settings["hf_hook_point_out"] = "model.layers.17.post_feedforward_layernorm.output"
            settings["type"] = "transcoder"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "params.safetensors")
        (folder / "config.json").write_text(json.dumps(settings, indent=2))
        loaded, state, _ = loaders.gemma_3_sae_huggingface_loader("google/gemma-scope-2-4b-it", path)
        common: dict[str, Any] = {"d_in": WIDTH, "d_sae": LATENTS, "apply_b_dec_to_input": False}
        assert (loaded["d_in"], loaded["d_sae"]) == (WIDTH, LATENTS)
        sae: Any = (
            JumpReLUSkipTranscoder(JumpReLUSkipTranscoderConfig(**common, d_out=WIDTH))
            if transcoder
            else JumpReLUSAE(JumpReLUSAEConfig(**common))
        )
        sae.load_state_dict(state)
        write_sample(folder, world.hidden, sae.encode, sae)

    scope_2("resid_post", "layer_17_width_16k_l0_medium", 22, transcoder=False)
    scope_2("transcoder", "layer_17_width_16k_l0_small_affine", 23, transcoder=True)


# dictionary_learning


def write_dictionary_learning(root: Path) -> None:
    from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK, TopKTrainer
    from dictionary_learning.utils import load_dictionary

    def finish(ae: Any, folder: str, world: World, k: int | None = None, load: bool = True) -> Path:
        """Save as the package saves, load as it loads, then move the weights to safetensors as its users must."""
        path = root / folder
        path.mkdir(parents=True)
        trainer = TopKTrainer(
            2000, WIDTH, LATENTS, 2, 8, "EleutherAI/pythia-70m-deduped", submodule_name="resid_post_layer_8", device="cpu"
        )
        settings = {**trainer.config, "dict_class": type(ae).__name__, "k": k}
        if k is None:
            del settings["k"]
        (path / "config.json").write_text(json.dumps({"trainer": settings, "buffer": {"d_submodule": WIDTH, "ctx_len": 128}}, indent=2))
        torch.save(ae.state_dict(), path / "ae.pt")
        loaded = load_dictionary(str(path), "cpu")[0] if load else ae
        write_sample(path, world.hidden, loaded.encode, lambda x: loaded.decode(loaded.encode(x)))
        save_file(
            {name: tensor.contiguous() for name, tensor in torch.load(path / "ae.pt", weights_only=True).items()}, path / "ae.safetensors"
        )
        (path / "ae.pt").unlink()
        return path

    world = World(31)
    topk = AutoEncoderTopK(WIDTH, LATENTS, 2)
    linear = {"encoder__weight": world.w_enc, "decoder__weight": world.w_dec.T}
    set_weights(topk, **linear, encoder__bias=world.b_enc, b_dec=world.b_dec)
    path = finish(topk, "dictionary-learning-topk", world, 2)
    (root / "dictionary-learning-pickle").mkdir()
    shutil.copyfile(path / "config.json", root / "dictionary-learning-pickle/config.json")
    torch.save({"encoder.weight": torch.zeros(2, 2)}, root / "dictionary-learning-pickle/ae.pt")

    world = World(32)
    linear = {"encoder__weight": world.w_enc, "decoder__weight": world.w_dec.T}
    batch = BatchTopKSAE(WIDTH, LATENTS, 2)
    set_weights(batch, **linear, encoder__bias=world.b_enc, b_dec=world.b_dec, threshold=torch.tensor(1.6))
    finish(batch, "dictionary-learning-batchtopk", world, 2)

    # Rows of any length: the package folds their norms into the encoder when it loads them.
    world = World(33, stretched=True)
    linear = {"encoder__weight": world.w_enc, "decoder__weight": world.w_dec.T}
    standard = AutoEncoder(WIDTH, LATENTS)
    set_weights(standard, **linear, encoder__bias=(world.b_enc - 1) / world.w_dec.norm(dim=1), bias=world.b_dec)
    finish(standard, "dictionary-learning-standard", world)

    world = World(34)
    april = AutoEncoderNew(WIDTH, LATENTS)
    set_weights(
        april,
        encoder__weight=world.w_enc,
        decoder__weight=world.w_dec.T,
        encoder__bias=world.b_enc - 1 - world.w_enc @ world.b_dec,
        decoder__bias=world.b_dec,
    )
    finish(april, "dictionary-learning-april", world)

    world = World(35)
    linear = {"encoder__weight": world.w_enc, "decoder__weight": world.w_dec.T}
    gated = GatedAutoEncoder(WIDTH, LATENTS)
    set_weights(
        gated, **linear, decoder_bias=world.b_dec, gate_bias=world.b_enc - 1.5, mag_bias=world.b_enc, r_mag=torch.full((LATENTS,), 0.1)
    )
    finish(gated, "dictionary-learning-gated", world)

    world = World(36)
    jump = JumpReluAutoEncoder(WIDTH, LATENTS)
    set_weights(
        jump,
        W_enc=world.w_enc.T,
        W_dec=world.w_dec,
        b_enc=world.b_enc - world.w_enc @ world.b_dec,
        b_dec=world.b_dec,
        threshold=world.threshold,
    )
    finish(jump, "dictionary-learning-jumprelu", world)

    world = World(37)
    matryoshka = MatryoshkaBatchTopKSAE(WIDTH, LATENTS, 2, [LATENTS // 4, LATENTS - LATENTS // 4])
    set_weights(matryoshka, W_enc=world.w_enc.T, W_dec=world.w_dec, b_enc=world.b_enc, b_dec=world.b_dec, threshold=torch.tensor(1.6))
    finish(matryoshka, "dictionary-learning-matryoshka", world, 2)


def main() -> None:
    root = Path(sys.argv[1])
    only = sys.argv[2:]
    if not only:
        shutil.rmtree(root, ignore_errors=True)
    writers = {
        "sparsify": write_sparsify,
        "sae-lens": write_sae_lens,
        "gemma-scope": write_gemma_scope,
        "dictionary-learning": write_dictionary_learning,
        "adapter": write_adapter,
    }
    for name, write in writers.items():
        if not only or name in only:
            write(root)


if __name__ == "__main__":
    main()
