"""Small dictionaries in `facet-worker`'s own layout, with what it computes from them: `.venv/bin/python worker/make_fixtures/own.py lib/formats/dictionaries/fixtures`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from worlds import LATENTS, World, write_sample

from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary, save_dictionary


def main() -> None:
    root = Path(sys.argv[1])
    world = World(51)
    plain = Dictionary(world.w_enc, world.b_enc, world.w_dec, world.b_dec, "relu", hook="model.layers.6")
    made = {
        "own-batchtopk": replace(plain, activation="batchtopk", k=2, threshold=torch.tensor([1.6])),
        "own-jumprelu": replace(
            plain, activation="jumprelu", threshold=world.threshold, subtract_b_dec=False, b_enc=world.b_enc - world.w_enc @ world.b_dec
        ),
        "own-gated": replace(
            plain, activation="gated", b_enc=world.b_enc - 1.5, b_mag=world.b_enc, r_mag=torch.linspace(-0.1, 0.1, LATENTS)
        ),
    }
    for name, sae in made.items():
        save_dictionary(sae, root / name)
        read = load_dictionary(root / name)

        def encode(x: Tensor, read: Dictionary = read) -> Tensor:
            indices, values = read.encode(x)
            return torch.zeros(len(x), LATENTS).scatter_(1, indices, values)

        write_sample(root / name, world.hidden, encode, lambda x, read=read: read.decode(*read.encode(x)))


if __name__ == "__main__":
    main()
