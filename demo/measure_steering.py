"""What clamping does, counted: over clean concept features, by where and how strongly, beside a random feature of equal norm.

    python -m demo.measure_steering --work DIR --out demo [--layers 0 1] [--features 64] [--images 2]

Writes results/steering.json and, with `--table FILE`, the same as Markdown tables (docs/steering-effect.md).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from demo.catalogue import Catalogue, load_images
from demo.claims import GRID, Truth
from demo.classes import CLASSES, PLACES
from demo.clean_features import Clean, clean_features, image_scores
from demo.tasks import WORDINGS, parse_caption
from facet_worker.cache import load_cache
from facet_worker.checkpoint import load_checkpoint
from facet_worker.codes import open_codes
from facet_worker.hooks import hook_name
from facet_worker.sae import TopKSae
from facet_worker.score import wilson
from facet_worker.steer import Asker, Prefix

STRENGTHS = (1.0, 2.0, 4.0, 8.0)
SCOPES = ("object", "swap", "cell", "image", "all")
QUESTION = WORDINGS["caption"][0]
LIMIT = 56
BATCH = 32
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """A feature of class `cls` set on some cells of image number `image`; `place` is where the cells lie, when that is one place."""

    feature: int
    cls: int
    image: int
    scope: str
    strength: float
    place: str | None


@dataclass(frozen=True)
class Scene:
    """A catalogue image with two sets of cells: its largest object's patches, and the inner 3 × 3 of a place with nothing in it."""

    index: int
    truth: Truth
    own: Mask
    own_place: str
    own_cls: int
    empty: Mask
    empty_place: str

    def cells(self, scope: str) -> tuple[Mask, str | None]:
        if scope in ("object", "swap"):
            return self.own, self.own_place
        if scope == "cell":
            return self.empty, self.empty_place
        return np.ones(GRID * GRID, np.bool_), None


def _scene(catalogue: Catalogue, index: int, rng: np.random.Generator) -> Scene | None:
    objects = catalogue.scenes[index].objects
    if not 1 <= len(objects) <= 3:
        return None
    truth = Truth(catalogue.scenes[index])
    largest = int(truth.shown.sum(1).argmax())
    taken = truth.shown.any(0).reshape(GRID, GRID)
    free = [n for n in range(9) if not taken[n // 3 * 4 : n // 3 * 4 + 4, n % 3 * 4 : n % 3 * 4 + 4].any()]
    if not free or truth.shown[largest].sum() < 4:
        return None
    place = free[int(rng.integers(len(free)))]
    block = np.zeros((GRID, GRID), np.bool_)
    block[place // 3 * 4 : place // 3 * 4 + 3, place % 3 * 4 : place % 3 * 4 + 3] = True
    return Scene(index, truth, truth.shown[largest], objects[largest].place, objects[largest].cls, block.reshape(-1), PLACES[place])


class Experiment:
    """All trials at one hook."""

    def __init__(
        self,
        asker: Asker,
        catalogue: Catalogue,
        clean: list[Clean],
        maximum: npt.NDArray[np.float64],
        alive: npt.NDArray[np.int64],
        own: dict[int, list[int]],
        seed: int,
    ) -> None:
        self.asker, self.catalogue, self.clean, self.maximum, self.alive = asker, catalogue, clean, maximum, alive
        self.own = own
        self.rng = np.random.default_rng([seed, 3])

    def scenes(self, count: int) -> list[Scene]:
        out: list[Scene] = []
        for index in range(len(self.catalogue) - 1, -1, -1):
            scene = _scene(self.catalogue, index, self.rng)
            if scene is not None:
                out.append(scene)
            if len(out) == count:
                break
        return out

    def _without(self, scenes: list[Scene], cls: int, count: int) -> list[int]:
        absent = [n for n, s in enumerate(scenes) if all(o.cls != cls for o in s.truth.scene.objects)]
        return [int(n) for n in self.rng.permutation(absent)[:count]]

    def trials(self, scenes: list[Scene], images: int) -> list[Trial]:
        out = []
        for c in self.clean:
            for n in self._without(scenes, c.cls, images):
                for scope in SCOPES:
                    out += [Trial(c.feature, c.cls, n, scope, s, scenes[n].cells(scope)[1]) for s in STRENGTHS]
        return out

    @torch.inference_mode()
    def captions(self, prefix: Prefix, scenes: list[Scene], trials: list[Trial], random: bool) -> list[str]:
        """What the model says it sees, trial by trial; `random` carries the same change on random features' rows."""
        out: list[str] = []
        for start in range(0, len(trials), BATCH):
            part = trials[start : start + BATCH]
            rows = prefix.rows(torch.tensor([t.image for t in part]))
            features = torch.tensor([t.feature for t in part])
            values = torch.tensor([t.strength * self.maximum[t.feature] for t in part], dtype=torch.float32)
            directions = torch.from_numpy(self.rng.choice(self.alive, len(part))) if random else None
            cells = torch.from_numpy(np.stack([scenes[t.image].cells(t.scope)[0] for t in part]))
            everywhere = torch.tensor([t.scope == "all" for t in part])
            mask = torch.cat([everywhere[:, None].expand(-1, self.asker.lead), cells], 1)
            freed = [self.own.get(scenes[t.image].own_cls, []) if t.scope == "swap" else [] for t in part]
            # every clamp is computed from the same hidden states and they add up, as in every engine
            hidden = self.asker.set_where(rows.hidden, features, values, mask, directions) + self.ablation(rows.hidden, freed, cells)

            def words(h: Tensor, f: Tensor = features, v: Tensor = values, e: Tensor = everywhere, d: Tensor | None = directions) -> Tensor:
                return self.asker.set_where(h, f, v, e[:, None].expand(h.shape[:2]), d) if bool(e.any()) else h

            out += self.asker.ask(rows.low, self.asker.open(hidden), QUESTION, LIMIT, words)
            if start // BATCH % 25 == 0:
                print(f"[{hook_name(self.asker.split.layer)}] {start} of {len(trials)} captions{' (random)' if random else ''}", flush=True)
        return out

    def ablation(self, hidden: Tensor, features: list[list[int]], cells: Tensor | None = None) -> Tensor:
        """What ablating each row's features adds to hidden states [B, P, D], on its cells bool [B, rows·cols] or on its whole image."""
        out = torch.zeros_like(hidden)
        for r, chosen in enumerate(features):
            if chosen:
                where = torch.arange(self.asker.lead, hidden.shape[1]) if cells is None else cells[r].nonzero()[:, 0] + self.asker.lead
                acts = self.asker.sae.activation_of(hidden[r, where], torch.tensor(chosen, dtype=torch.long))
                out[r, where] -= acts @ self.asker.sae.w_dec[chosen]
        return out

    @torch.inference_mode()
    def ablations(self, images: int) -> dict[str, Any]:
        """Of captions that name the class, how many no longer do once its clean features are ablated on the image; and with random ones ablated."""
        classes = sorted({c.cls for c in self.clean})
        jobs = []
        for cls in classes:
            features = self.own[cls]
            shown = [i for i, s in enumerate(self.catalogue.scenes) if any(o.cls == cls for o in s.objects)]
            jobs += [(cls, features, i) for i in shown[:images]]
        said: dict[str, list[str]] = {"baseline": [], "ablated": [], "random": []}
        for start in range(0, len(jobs), BATCH):
            part = jobs[start : start + BATCH]
            prefix = self.asker.read(self.catalogue.pixels[[i for _, _, i in part]])
            for name in said:
                chosen = [
                    features if name == "ablated" else self.rng.choice(self.alive, len(features)).tolist() if name == "random" else []
                    for _, features, _ in part
                ]
                hidden = prefix.hidden + self.ablation(prefix.hidden, chosen)
                said[name] += self.asker.ask(prefix.low, self.asker.open(hidden), QUESTION, LIMIT)
        named = {name: [_names(text, cls) for text, (cls, _, _) in zip(texts, jobs, strict=True)] for name, texts in said.items()}
        before = [n for n, yes in enumerate(named["baseline"]) if yes]
        return {
            "classes": len(classes), "images": len(jobs), "named_before": share(sum(named["baseline"]), len(jobs)),
            "gone": share(sum(not named["ablated"][n] for n in before), len(before)),
            "gone_random": share(sum(not named["random"][n] for n in before), len(before)),
            "well_formed": share(sum(parse_caption(t) is not None for t in said["ablated"]), len(jobs)),
        }  # fmt: skip


def _names(text: str, cls: int) -> bool:
    name = CLASSES[cls].name
    parsed = parse_caption(text)
    if parsed is not None:
        return any(entity.cls == cls for entity, _ in parsed[0])
    return name in text.split()


def share(k: int, n: int) -> dict[str, float]:
    """A share with its count and 95 % interval."""
    low, high = wilson(k, n)
    return {"share": k / n if n else 0.0, "n": n, "low": low, "high": high}


def _placed(text: str, trial: Trial) -> bool:
    parsed = parse_caption(text)
    return parsed is not None and any(entity.cls == trial.cls and place == trial.place for entity, place in parsed[0])


def table_rows(trials: list[Trial], steered: list[str], random: list[str]) -> list[dict[str, Any]]:
    """One row a scope and strength."""
    rows = []
    for scope in SCOPES:
        for strength in STRENGTHS:
            chosen = [n for n, t in enumerate(trials) if t.scope == scope and t.strength == strength]
            n = len(chosen)
            row: dict[str, Any] = {"scope": scope, "strength": strength}
            row["named"] = share(sum(_names(steered[i], trials[i].cls) for i in chosen), n)
            row["well_formed"] = share(sum(parse_caption(steered[i]) is not None for i in chosen), n)
            row["named_random"] = share(sum(_names(random[i], trials[i].cls) for i in chosen), n)
            row["well_formed_random"] = share(sum(parse_caption(random[i]) is not None for i in chosen), n)
            if scope in ("object", "swap", "cell"):
                row["in_place"] = share(sum(_placed(steered[i], trials[i]) for i in chosen), n)
            rows.append(row)
    return rows


def pick(clean: list[Clean], maximum: npt.NDArray[np.float64], count: int) -> list[Clean]:
    """At most one feature a class, the purest and then the strongest, so that no class counts twice; classes in order of index."""
    best: dict[int, Clean] = {}
    for c in sorted(clean, key=lambda c: (-c.purity, -maximum[c.feature])):
        best.setdefault(c.cls, c)
    order = sorted(best.values(), key=lambda c: c.cls)
    if len(order) <= count:
        return order
    return [order[int(i)] for i in np.linspace(0, len(order) - 1, count).round()]


def measure(model: Path, dictionary: Path, work: Path, layer: int, features: int, images: int, seed: int) -> dict[str, Any]:
    """The whole experiment at one hook."""
    torch.set_num_threads(1)
    hook = hook_name(layer)
    catalogue, codes = load_images(work / "images.npz"), open_codes(work / "codes" / hook)
    cache = load_cache(work / f"cache.{hook}.npz")
    asker = Asker(load_checkpoint(model), layer, TopKSae.load(dictionary))
    catalogue = Catalogue(
        catalogue.scenes[: codes.images], catalogue.data[: codes.images], catalogue.pixels[: codes.images], catalogue.chats[: codes.images]
    )
    mean, _ = image_scores(codes)
    maximum = cache.stats.max_activation
    every = clean_features(codes, catalogue.scenes, mean)
    own: dict[int, list[int]] = defaultdict(list)
    for c in every:
        own[c.cls].append(c.feature)
    clean = pick(every, maximum, features)
    experiment = Experiment(asker, catalogue, clean, maximum, np.flatnonzero(cache.stats.images > 0), own, seed)
    scenes = experiment.scenes(40)
    prefix = asker.read(catalogue.pixels[[s.index for s in scenes]])
    trials = experiment.trials(scenes, images)
    steered = experiment.captions(prefix, scenes, trials, random=False)
    random = experiment.captions(prefix, scenes, trials, random=True)
    with torch.inference_mode():
        plain = asker.ask(prefix.low, asker.open(prefix.hidden), QUESTION, LIMIT)
    baseline = {
        "well_formed": share(sum(parse_caption(t) is not None for t in plain), len(plain)),
        "named": share(sum(_names(plain[t.image], t.cls) for t in trials), len(trials)),
    }
    return {
        "hook": hook, "features": len(clean), "classes": [CLASSES[c.cls].name for c in clean], "question": QUESTION, "baseline": baseline,
        "rows": table_rows(trials, steered, random), "ablation": experiment.ablations(images),
        "examples": [{"class": CLASSES[t.cls].name, "scope": t.scope, "strength": t.strength, "before": plain[t.image], "after": steered[n]} for n, t in enumerate(trials) if t.strength == 4.0][:: max(1, len(trials) // 48)][:12],
    }  # fmt: skip


INTRODUCTION = (
    "# What a clamp does to the demo model, counted",
    "",
    "Made by `python -m demo.measure_steering`; every number is in `demo/results/steering.json`. A clean concept feature is one of whose ten top images nine or",
    "more show one class where it fires most; at most one feature a class is taken. Each is set, in mode `delta`, to a multiple of its own maximum on catalogue",
    f'images that do not show its class, and the model is asked "{QUESTION}". *object*: the patches of the largest thing there; *swap*: the same, with that thing\'s own',
    "clean features ablated there; *cell*: 3 × 3 patches of a place with nothing in it; *image*: every patch; *all*: every position, words asked and written too.",
    "Named: the caption names the class; in that place: and says that it stands where it was set; well-formed: the caption follows the grammar that the model was",
    "taught. The control adds a change of equal norm along a random feature's row. Ablation takes away all clean features of a class. Brackets are 95 % intervals (Wilson).",
    "",
)


def markdown(results: list[dict[str, Any]]) -> str:
    """The page docs/steering-effect.md: what was done, and the rows as tables, one a hook."""

    def cell(entry: dict[str, float] | None) -> str:
        return "" if entry is None else f"{entry['share']:.2f} [{entry['low']:.2f}–{entry['high']:.2f}]"

    out = list(INTRODUCTION)
    for r in results:
        a = r["ablation"]
        out += [
            f"### {r['hook']}: {r['features']} clean concept features, n = {r['rows'][0]['named']['n']} captions a row", "",
            "| where | strength | named when absent | in that place | well-formed | named, random feature of equal norm | well-formed, random |",
            "|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        out += [
            f"| {row['scope']} | {row['strength']:g}× | {cell(row['named'])} | {cell(row.get('in_place'))} | {cell(row['well_formed'])} | {cell(row['named_random'])} | {cell(row['well_formed_random'])} |"
            for row in r["rows"]
        ]
        out += [
            "",
            f"Without a clamp: named {cell(r['baseline']['named'])}, well-formed {cell(r['baseline']['well_formed'])}. Ablated on the image where the class is shown and "
            f"named (n = {int(a['gone']['n'])}): gone {cell(a['gone'])}; as many random features ablated: gone {cell(a['gone_random'])}.",
            "",
        ]
    return "\n".join(out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.measure_steering", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--images", type=int, default=2, help="images a feature")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the Markdown tables here")
    a = parser.parse_args()

    with ProcessPoolExecutor(min(2, len(a.layers)), get_context("spawn")) as pool:
        jobs = [
            pool.submit(measure, a.out / "model", a.out / "dictionaries" / hook_name(n), a.work, n, a.features, a.images, a.seed)
            for n in a.layers
        ]
        results = [job.result() for job in jobs]
    (a.out / "results").mkdir(parents=True, exist_ok=True)
    (a.out / "results" / "steering.json").write_text(json.dumps(results, indent=2) + "\n")
    if a.table:
        a.table.write_text(markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
