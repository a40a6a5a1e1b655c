"""Training a TopK dictionary side by side with sparsify's and SAELens', on the same hidden states, in the same batches, for as many steps.

    pip install eai-sparsify sae-lens          # beside the worker's own packages
    python bench/train.py [--steps 400] [--latents 2048] [--k 24] [--rounds 3] [--parts FILE] [--out bench/results/train.json]

With `--parts` each round is added to that file (JSON lines), and the report is over all rounds in it: a long measurement in short pieces.

The states are those of the demo's model at block 0 on the demo catalogue's pictures. Every round trains all three anew, taking turns; times are of the
steps alone. SAELens is driven by its own `SAETrainer`; sparsify's trainer takes a language model and a text and no states, so its `SparseCoder` is driven
as its trainer's `fit` does, with the paper's Adam. FVU is measured alike for all, on states that none was trained on.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from facet_worker.checkpoint import load_checkpoint
from facet_worker.training.learner import Learner
from facet_worker.training.model_source import Example, ModelSource
from facet_worker.training.settings import TrainSettings

Encoded = Callable[[Tensor], Tensor]


def pixels(encoded: bytes) -> npt.NDArray[np.uint8]:
    """A picture's pixels."""
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def hidden_states(pictures: int) -> Tensor:
    """float32 [N, D]: the image tokens of some of the demo catalogue's pictures at block 0, mixed."""
    checkpoint = load_checkpoint(Path("demo/model"))
    rows = pq.read_table("demo/bundle/images.parquet", columns=["bytes"]).slice(0, pictures).to_pylist()
    examples = [Example(str(i), partial(pixels, row["bytes"])) for i, row in enumerate(rows)]
    source = ModelSource(checkpoint.model, checkpoint.processor, ["model.layers.0"], examples, "image", 0, together=32)
    states = torch.cat([source.piece(i)[:, 0] for i in range(pictures // 32)])
    return states[torch.randperm(len(states), generator=torch.Generator().manual_seed(0))]


def fvu(reconstruct: Encoded, states: Tensor) -> float:
    """Σ e² / Σ (x − mean)²."""
    with torch.no_grad():
        error = sum(float((x - reconstruct(x)).square().sum()) for x in states.split(2048))
    return error / float((states - states.mean(0)).square().sum())


def own(settings: TrainSettings, batches: list[Tensor]) -> tuple[float, Encoded]:
    """Seconds for all steps, and the dictionary's reconstruction."""
    learner = Learner(settings, batches[0])
    begun = time.perf_counter()
    for step, batch in enumerate(batches):
        learner.step(batch, step, len(batch))
    seconds = time.perf_counter() - begun
    dictionary = learner.dictionary()
    return seconds, lambda x: dictionary.decode(*dictionary.encode(x))


def sparsify(settings: TrainSettings, batches: list[Tensor]) -> tuple[float, Encoded]:
    """sparsify's module, loss and order of a step."""
    if not torch.cuda.is_available():
        os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its kernels need a GPU; this is its own way without
    from sparsify import SparseCoder, SparseCoderConfig

    torch.manual_seed(settings.seed)
    config = SparseCoderConfig(num_latents=settings.latents, k=settings.k, multi_topk=settings.multi_topk)
    coder = SparseCoder(batches[0].shape[1], config)
    coder.b_dec.data = batches[0].mean(0)
    optimizer = torch.optim.Adam(coder.parameters(), lr=settings.rate)
    idle = torch.zeros(settings.latents, dtype=torch.long)
    begun = time.perf_counter()
    for step, batch in enumerate(batches):
        coder.set_decoder_norm_to_unit_norm()
        dead = idle > settings.dead_after
        out = coder(batch, dead_mask=dead if bool(dead.any()) else None)
        (out.fvu + settings.auxk_alpha * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        for group in optimizer.param_groups:
            group["lr"] = settings.rate_at(step)
        optimizer.step()
        optimizer.zero_grad()
        idle += len(batch)
        idle[out.latent_indices.flatten()] = 0
    return time.perf_counter() - begun, lambda x: coder(x).sae_out


def sae_lens(settings: TrainSettings, batches: list[Tensor]) -> tuple[float, Encoded]:
    """SAELens' TopK dictionary in its own trainer, with its defaults but for what the three have in common."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(settings.seed)
    width, batch = batches[0].shape[1], len(batches[0])
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=width, d_sae=settings.latents, k=settings.k))
    sae.b_dec.data = batches[0].mean(0)
    config = SAETrainerConfig(
        total_training_samples=batch * len(batches), train_batch_size_samples=batch, lr=settings.rate, lr_end=0.0, lr_warm_up_steps=settings.warmup,
        lr_decay_steps=settings.steps // 5, dead_feature_window=max(1, settings.dead_after // batch),
    )  # fmt: skip

    def provide() -> Iterator[Tensor]:
        yield from batches

    trainer: Any = SAETrainer(config, sae, provide())
    begun = time.perf_counter()
    trainer.fit()
    return time.perf_counter() - begun, lambda x: sae(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--latents", type=int, default=2048)
    parser.add_argument("--k", type=int, default=24)
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--multi-topk", action="store_true", help="with the wider reconstruction's loss too, which SAELens does not have")
    parser.add_argument("--parts", type=Path, help="where rounds are kept, those of earlier calls with the same settings too")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    settings = TrainSettings(
        latents=options.latents, k=options.k, steps=options.steps, batch=options.batch, lr=1e-3, warmup=50, dead_after=100_000,
        buffer=2 * options.batch, tokens="image", multi_topk=options.multi_topk,
    )  # fmt: skip
    states = hidden_states(options.pictures)
    train, test = states[: -len(states) // 8], states[-len(states) // 8 :]
    batches = [train[torch.arange(i * options.batch, (i + 1) * options.batch) % len(train)] for i in range(options.steps)]
    trainers = {"facet": own, "sparsify": sparsify, "sae_lens": sae_lens}
    rounds: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        rounds.append({"load": round(os.getloadavg()[0], 1)})
        for name, train_one in trainers.items():
            spent, reconstruct = train_one(settings, batches)
            rounds[-1][name] = [spent, fvu(reconstruct, test)]
    if options.parts:
        with options.parts.open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in rounds)
        rounds = [json.loads(line) for line in options.parts.read_text().splitlines()]
    seconds = {name: [float(one[name][0]) for one in rounds] for name in trainers}
    scores = {name: statistics.median(float(one[name][1]) for one in rounds) for name in trainers}
    import sae_lens as lens

    tokens = options.steps * options.batch
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads", "torch": torch.__version__,
        "sae_lens": lens.__version__, "steps": options.steps, "batch": options.batch, "latents": options.latents, "k": options.k,
        "width": states.shape[1], "states": len(train), "held_out": len(test), "rounds": len(rounds),
        "load": [one["load"] for one in rounds],
        "trainers": {
            name: {
                "seconds": [round(one, 2) for one in times],
                "tokens_per_s": round(tokens / statistics.median(times)), "fvu": round(scores[name], 4),
                "speed_of_facet_against_it": round(statistics.median(b / a for a, b in zip(seconds["facet"], times, strict=True)), 2),
            }
            for name, times in seconds.items()
        },
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
