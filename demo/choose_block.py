"""Choose the hook by measurement: a small dictionary at each of several blocks, its FVU and how well its clean features steer.

    python -m demo.choose_block --model DIR --images FILE --work DIR --out demo [--layers 0 1 2 3]

Writes results/blocks.json. The dictionaries made here are thrown away; all blocks get the same data, size and steps.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.catalogue import load_images, split_items
from demo.claims import article_free, phrases
from demo.classes import CLASSES
from demo.clean_features import clean_features, image_scores
from demo.measure_steering import pick, share
from demo.score_demo import probes
from demo.tasks import WORDINGS, place_phrase
from facet_worker.cache import Keep, build_caches
from facet_worker.checkpoint import load_checkpoint
from facet_worker.codes import open_codes
from facet_worker.harvest import collect
from facet_worker.hooks import hook_name
from facet_worker.quality import loss_recovered
from facet_worker.steer import Asker
from facet_worker.train import TrainConfig, evaluate, train

STRENGTHS = (2.0, 4.0)


@dataclass(frozen=True)
class Trial:
    """How much to spend on a block."""

    latents: int = 1024
    k: int = 24
    steps: int = 400
    scenes: int = 500
    images: int = 900
    features: int = 40
    probes: int = 6


def _named(answer: str, cls: int) -> bool:
    entity = phrases().get(article_free(answer))
    return entity is not None and entity.cls == cls


def measure_block(model: Path, images: Path, work: Path, layer: int, trial: Trial, seed: int) -> dict[str, Any]:
    """One block's numbers."""
    torch.set_num_threads(1)
    checkpoint, catalogue = load_checkpoint(model), load_images(images, trial.images)
    _, items = split_items("train", 8_000_000, trial.scenes, 4, seed)
    _, heldout = split_items("val", 400_000, 48, 3, seed)
    sae = train(collect(checkpoint, items, [layer])[layer], TrainConfig(trial.latents, trial.k, trial.steps, seed=seed), lambda _: None)
    quality = evaluate(sae, collect(checkpoint, heldout, [layer])[layer]) | loss_recovered(checkpoint, layer, sae, heldout)
    folder = work / "blocks" / hook_name(layer)
    cache = build_caches(
        checkpoint, {layer: sae}, catalogue.items(), {layer: folder}, Keep(top=1, band=1, random=1, text=1, sample=4), log=lambda _: None
    )[layer]
    codes = open_codes(folder)
    found = clean_features(codes, catalogue.scenes, image_scores(codes)[0])
    maximum = cache.stats.max_activation
    chosen = pick(found, maximum, trial.features)
    asker = Asker(checkpoint, layer, sae)
    places = probes(catalogue, 24)
    prefix = asker.read(catalogue.pixels[[p.image for p in places]])
    out: dict[str, Any] = {
        "hook": hook_name(layer), "fvu": quality["fvu"], "fvu_image": quality["fvu_image"], "fvu_text": quality["fvu_text"],
        "loss_recovered": quality["loss_recovered"], "clean_features": len(found), "classes_covered": len({c.cls for c in found}),
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    for strength in STRENGTHS:
        hits = n = 0
        for c in chosen:
            absent = [i for i, p in enumerate(places) if all(o.cls != c.cls for o in p.truth.scene.objects)]
            for i in rng.permutation(absent)[: trial.probes]:
                row = prefix.rows(torch.tensor([int(i)]))
                cells = torch.from_numpy(places[int(i)].cells)[None]
                with torch.inference_mode():
                    hidden = asker.set_on_cells(
                        row.hidden, torch.tensor([c.feature]), torch.tensor([strength * float(maximum[c.feature])]), cells
                    )
                answer = asker.ask(row.low, asker.open(hidden), WORDINGS["what_at"][0].format(place_phrase(places[int(i)].place)))[0]
                hits, n = hits + _named(answer, c.cls), n + 1
        out[f"named_x{strength:g}"] = share(hits, n)
    out["features"] = [CLASSES[c.cls].name for c in chosen]
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.choose_block", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("demo/model"))
    parser.add_argument("--images", type=Path, required=True, help="images.npz of the recipe's work folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    with ProcessPoolExecutor(a.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(measure_block, a.model, a.images, a.work, n, Trial(), a.seed) for n in a.layers]
        for job in as_completed(jobs):
            row = job.result()
            steered = " ".join(f"×{s:g} {row[f'named_x{s:g}']['share']:.2f}" for s in STRENGTHS)
            print(row["hook"], f"fvu {row['fvu']:.3f}", f"classes {row['classes_covered']}", steered, flush=True)
        rows = [job.result() for job in jobs]
    (a.out / "results").mkdir(parents=True, exist_ok=True)
    (a.out / "results" / "blocks.json").write_text(json.dumps({"trial": asdict(Trial()), "blocks": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
