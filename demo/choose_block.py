"""Choose the hook by measurement: a small dictionary at each of several blocks, its FVU and how well its clean features steer.

    python -m demo.choose_block --model DIR --images FILE --work DIR --out demo [--layers 0 1 2]

Writes results/blocks.json. The dictionaries made here are thrown away; all blocks get the same data, size and steps.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from demo.catalogue import load_images, split_items
from demo.claims import article_free, phrases
from demo.classes import CLASSES
from demo.clean_features import clean_features, image_scores
from demo.score_demo import Probe, probes
from demo.steering_trials import pick, share
from demo.tasks import WORDINGS, place_phrase
from facet_worker.cache import Keep, build_caches
from facet_worker.checkpoint import load_checkpoint
from facet_worker.codes import open_codes
from facet_worker.harvest import collect
from facet_worker.hooks import hook_name
from facet_worker.quality import loss_recovered
from facet_worker.steer import Asker, Prefix
from facet_worker.train import TrainConfig, evaluate, train

STRENGTHS = (2.0, 4.0, 8.0)
SCOPES = ("object", "image")


@dataclass(frozen=True)
class Trial:
    """How much to spend on a block."""

    latents: int = 2048
    spare: int = 256
    k: int = 24
    steps: int = 400
    scenes: int = 500
    images: int = 1200
    features: int = 40
    probes: int = 6


@dataclass(frozen=True)
class Ask:
    """A clean feature of class `cls` to be set on probe number `probe`."""

    feature: int
    cls: int
    probe: int


def _named(answer: str, cls: int) -> bool:
    entity = phrases().get(article_free(answer))
    return entity is not None and entity.cls == cls


@torch.inference_mode()
def named(
    asker: Asker, prefix: Prefix, places: list[Probe], asked: list[Ask], maximum: npt.NDArray[np.float64], scope: str, strength: float
) -> dict[str, float]:
    """How often the answer to what is where the largest thing stands names the class whose feature is set, on its patches or on the whole image."""
    by_place: dict[str, list[Ask]] = defaultdict(list)
    for a in asked:
        by_place[places[a.probe].place].append(a)
    hits = 0
    for place, part in by_place.items():  # one question a batch
        rows = prefix.rows(torch.tensor([a.probe for a in part]))
        cells = torch.from_numpy(np.stack([places[a.probe].cells for a in part]))
        features = torch.tensor([a.feature for a in part])
        values = torch.tensor([strength * maximum[a.feature] for a in part], dtype=torch.float32)
        hidden = asker.set_on_cells(rows.hidden, features, values, cells if scope == "object" else torch.ones_like(cells))
        answers = asker.ask(rows.low, asker.open(hidden), WORDINGS["what_at"][0].format(place_phrase(place)))
        hits += sum(_named(answer, a.cls) for answer, a in zip(answers, part, strict=True))
    return share(hits, len(asked))


def measure_block(model: Path, images: Path, work: Path, layer: int, trial: Trial, seed: int) -> dict[str, Any]:
    """One block's numbers."""
    torch.set_num_threads(1)
    checkpoint, catalogue = load_checkpoint(model), load_images(images, trial.images)
    _, items = split_items("train", 8_000_000, trial.scenes, 4, seed)
    _, heldout = split_items("val", 400_000, 48, 3, seed)
    sae = train(
        collect(checkpoint, items, [layer])[layer],
        TrainConfig(num_latents=trial.latents, spare=trial.spare, k=trial.k, steps=trial.steps, seed=seed),
        lambda _: None,
    )
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
    asked = [
        Ask(c.feature, c.cls, int(i))
        for c in chosen
        for i in rng.permutation([n for n, p in enumerate(places) if all(o.cls != c.cls for o in p.truth.scene.objects)])[: trial.probes]
    ]
    for scope in SCOPES:
        for strength in STRENGTHS:
            out[f"{scope}_x{strength:g}"] = named(asker, prefix, places, asked, maximum, scope, strength)
    out["features"] = [CLASSES[c.cls].name for c in chosen]
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.choose_block", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("demo/model"))
    parser.add_argument("--images", type=Path, required=True, help="images.npz of the recipe's work folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    with ProcessPoolExecutor(a.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(measure_block, a.model, a.images, a.work, n, Trial(), a.seed) for n in a.layers]
        for job in as_completed(jobs):
            row = job.result()
            steered = " ".join(f"{scope} ×{s:g} {row[f'{scope}_x{s:g}']['share']:.2f}" for scope in SCOPES for s in STRENGTHS)
            print(row["hook"], f"fvu {row['fvu']:.3f}", f"classes {row['classes_covered']}", steered, flush=True)
        rows = [job.result() for job in jobs]
    (a.out / "results").mkdir(parents=True, exist_ok=True)
    (a.out / "results" / "blocks.json").write_text(json.dumps({"trial": asdict(Trial()), "blocks": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
