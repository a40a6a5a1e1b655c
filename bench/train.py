"""Training a TopK dictionary side by side with sparsify's and SAELens', on the same hidden states, in the same batches, for as many steps.

    pip install eai-sparsify sae-lens          # beside the worker's own packages
    PYTHONPATH=worker python bench/train.py [--steps 300] [--batch 512] [--latents 2048] [--k 24] [--rounds 3] [--parts FILE] [--out bench/results/train.json]

With `--parts` each round is added to that file (JSON lines), and the report is over all rounds in it: a long measurement in short pieces.

The states are those of the demo's model at block 0 on the demo catalogue's pictures. A round trains all three anew, from a seed of its own, and they take turns
at every step: each trains on a batch, then all go on to the next, so that what else the machine does falls on all three alike. Times are of the steps alone, by the
clock and of the process's own processor time. SAELens is driven by its own `SAETrainer`; sparsify's trainer takes a language model and a text and no states, so its
`SparseCoder` is driven as its trainer's `fit` does, with the paper's Adam. FVU is measured alike for all, on states that none was trained on.
"""

from __future__ import annotations

import argparse
import importlib.metadata
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
Step = Callable[[Tensor, int], None]
NAMES = ("facet", "sparsify", "sae_lens")
WARM_UP = 10  # steps whose times do not count


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


def own(settings: TrainSettings, sample: Tensor) -> tuple[Step, Encoded]:
    """A step, and the dictionary's reconstruction as it is by then."""
    learner = Learner(settings, sample)

    def step(batch: Tensor, number: int) -> None:
        learner.step(batch, number, len(batch))

    def reconstruct(x: Tensor) -> Tensor:
        dictionary = learner.dictionary()
        return dictionary.decode(*dictionary.encode(x))

    return step, reconstruct


def sparsify(settings: TrainSettings, sample: Tensor) -> tuple[Step, Encoded]:
    """sparsify's module, loss and order of a step."""
    if not torch.cuda.is_available():
        os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its kernels need a GPU; this is its own way without
    from sparsify import SparseCoder, SparseCoderConfig

    torch.manual_seed(settings.seed)
    config = SparseCoderConfig(num_latents=settings.latents, k=settings.k, multi_topk=settings.multi_topk)
    coder = SparseCoder(sample.shape[1], config)
    coder.b_dec.data = sample.mean(0)
    optimizer = torch.optim.Adam(coder.parameters(), lr=settings.rate)
    idle = torch.zeros(settings.latents, dtype=torch.long)

    def step(batch: Tensor, number: int) -> None:
        nonlocal idle
        coder.set_decoder_norm_to_unit_norm()
        dead = idle > settings.dead_after
        out = coder(batch, dead_mask=dead if bool(dead.any()) else None)
        (out.fvu + settings.auxk_alpha * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        for group in optimizer.param_groups:
            group["lr"] = settings.rate_at(number)
        optimizer.step()
        optimizer.zero_grad()
        idle += len(batch)
        idle[out.latent_indices.flatten()] = 0

    def reconstruct(x: Tensor) -> Tensor:
        # What `forward` answers is the wider reconstruction where it makes one.
        found = coder.encode(x)
        return coder.decode(found.top_acts, found.top_indices)

    return step, reconstruct


def sae_lens(settings: TrainSettings, sample: Tensor, batches: Iterator[Tensor]) -> tuple[Callable[[], object], Encoded]:
    """SAELens' TopK dictionary in its own trainer, with its defaults but for what the three have in common; it takes each batch when it is ready for it."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(settings.seed)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=sample.shape[1], d_sae=settings.latents, k=settings.k))
    sae.b_dec.data = sample.mean(0)
    config = SAETrainerConfig(
        total_training_samples=settings.batch * settings.steps, train_batch_size_samples=settings.batch, lr=settings.rate, lr_end=0.0,
        lr_warm_up_steps=settings.warmup, lr_decay_steps=settings.steps // 5, dead_feature_window=max(1, settings.dead_after // settings.batch),
        logger=LoggingConfig(log_to_wandb=False),
    )  # fmt: skip
    trainer: Any = SAETrainer(config, sae, batches)
    return trainer.fit, lambda x: sae(x)


def in_turn(settings: TrainSettings, batches: list[Tensor], test: Tensor) -> dict[str, Any]:
    """One round: for each trainer its steps' seconds by the clock and of the processor, and its FVU at the end."""
    others = {"facet": own(settings, batches[0]), "sparsify": sparsify(settings, batches[0])}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}

    def clocks() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def note(name: str, begun: tuple[float, float]) -> None:
        spent[name].append((time.perf_counter() - begun[0], time.process_time() - begun[1]))

    begun = clocks()

    def provide() -> Iterator[Tensor]:
        nonlocal begun
        for number, batch in enumerate(batches):
            for name in ("facet", "sparsify") if number % 2 else ("sparsify", "facet"):
                begun = clocks()
                others[name][0](batch, number)
                note(name, begun)
            begun = clocks()
            yield batch
            if number + 1 < len(batches):
                note("sae_lens", begun)

    fit, reconstruct = sae_lens(settings, batches[0], provide())
    fit()
    note("sae_lens", begun)
    reconstructions = {**{name: one[1] for name, one in others.items()}, "sae_lens": reconstruct}
    found: dict[str, Any] = {}
    for name in NAMES:
        steps = np.array(spent[name])[WARM_UP:]
        pairs = steps / np.array(spent["facet"])[WARM_UP:]
        found[name] = {
            "seconds": round(float(steps[:, 0].sum()), 3), "processor_seconds": round(float(steps[:, 1].sum()), 3), "steps": len(steps),
            "median_step_ratio": round(float(np.median(pairs[:, 0])), 4), "fvu": fvu(reconstructions[name], test),
        }  # fmt: skip
    return found


def spread(values: list[float], digits: int) -> dict[str, Any]:
    """Median, least and largest over rounds."""
    return {"median": round(statistics.median(values), digits), "least": round(min(values), digits), "most": round(max(values), digits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--latents", type=int, default=2048)
    parser.add_argument("--k", type=int, default=24)
    parser.add_argument("--pictures", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--multi-topk", action="store_true", help="with the wider reconstruction's loss too, which SAELens does not have")
    parser.add_argument("--parts", type=Path, help="where rounds are kept, those of earlier calls with the same settings too")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    same = {name: getattr(options, name) for name in ("steps", "batch", "latents", "k", "pictures", "threads", "multi_topk")}
    rounds: list[dict[str, Any]] = []
    if options.parts and options.parts.is_file():
        rounds = [json.loads(line) for line in options.parts.read_text().splitlines()]
    if any(one["settings"] != same for one in rounds):
        raise SystemExit(f"{options.parts} holds rounds with other settings; name another file.")
    states = hidden_states(options.pictures)
    train, test = states[: -len(states) // 8], states[-len(states) // 8 :]
    batches = [train[torch.arange(i * options.batch, (i + 1) * options.batch) % len(train)] for i in range(options.steps)]
    for _ in range(options.rounds):
        settings = TrainSettings(
            latents=options.latents, k=options.k, steps=options.steps, batch=options.batch, lr=1e-3, warmup=50, dead_after=100_000,
            buffer=2 * options.batch, tokens="image", multi_topk=options.multi_topk, seed=len(rounds),
        )  # fmt: skip
        before = os.getloadavg()[0]
        found = in_turn(settings, batches, test)
        rounds.append({"settings": same, "load": [round(before, 1), round(os.getloadavg()[0], 1)], **found})
        if options.parts:
            with options.parts.open("a") as file:
                file.write(json.dumps(rounds[-1]) + "\n")
    import sae_lens as lens

    facet = [one["facet"] for one in rounds]

    def trainer(name: str) -> dict[str, Any]:
        parts = [one[name] for one in rounds]
        return {
            "tokens_per_s": spread([options.batch * one["steps"] / one["seconds"] for one in parts], 0),
            "tokens_per_processor_s": spread([options.batch * one["steps"] / one["processor_seconds"] for one in parts], 0),
            "facet_tokens_per_s_by_its": spread([one["seconds"] / own["seconds"] for one, own in zip(parts, facet, strict=True)], 3),
            "facet_tokens_per_processor_s_by_its": spread(
                [one["processor_seconds"] / own["processor_seconds"] for one, own in zip(parts, facet, strict=True)], 3
            ),
            "median_of_paired_steps": spread([one["median_step_ratio"] for one in parts], 3),
            "fvu": spread([one["fvu"] for one in parts], 4),
        }

    result = {
        "machine": platform.processor() or platform.machine(), "torch": torch.__version__, "sae_lens": lens.__version__,
        "sparsify": importlib.metadata.version("eai-sparsify"), **same, "width": states.shape[1], "states": len(train), "held_out": len(test),
        "rounds": len(rounds), "load": [one["load"] for one in rounds], "trainers": {name: trainer(name) for name in NAMES}, "parts": rounds,
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
