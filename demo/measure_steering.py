"""What clamping does, counted over clean concept features: by where, how strongly and in which mode, beside controls; what ablation removes; what else breaks.

    python -m demo.measure_steering --work DIR --out demo [--layers 0 1] [--features 64] [--images 2] [--forms]

Writes results/steering.json and, with `--table FILE`, the same as Markdown into FILE (docs/steering.md). `--forms` asks again in the other forms of
question only, on the same trials, and keeps all other numbers.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from demo.catalogue import Catalogue, load_images
from demo.classes import CLASSES, ENTITIES
from demo.clean_features import Clean, clean_features, image_scores
from demo.steering_ablation import Ablations
from demo.steering_forms import Changed, measure_forms
from demo.steering_page import into_page, markdown
from demo.steering_trials import SCOPES, STRENGTHS, Share, Stage, Trial, names, pick, placed, share, stages, trials, well_formed
from demo.steering_unrelated import Question, questions, right
from demo.tasks import WORDINGS, entity_phrase, with_article
from facet_worker.cache import load_cache
from facet_worker.checkpoint import load_checkpoint
from facet_worker.codes import open_codes
from facet_worker.hooks import hook_name
from facet_worker.sae import TopKSae
from facet_worker.steer import Asker, Prefix

QUESTION = WORDINGS["caption"][0]
LIMIT = 56
BATCH = 32
Arm = Literal["steered", "negated", "random"]
ARMS: tuple[Arm, ...] = ("steered", "negated", "random")
UNRELATED_ARMS: tuple[Arm, ...] = ("steered", "random")
FORM_ARMS: tuple[Arm, ...] = ("steered", "random")
RECONSTRUCT = [(scope, strength) for scope in ("object", "image") for strength in STRENGTHS[1:]]
UNRELATED = [(scope, strength) for scope in ("object", "image", "all") for strength in STRENGTHS[1:]]


class Experiment:
    """All trials at one hook."""

    def __init__(
        self, asker: Asker, scenes: list[Stage], prefix: Prefix, maximum: npt.NDArray[np.float64], alive: npt.NDArray[np.int64], own: dict[int, list[int]],
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.asker, self.scenes, self.prefix, self.maximum, self.alive, self.own, self.rng = asker, scenes, prefix, maximum, alive, own, rng

    def _set(self, part: list[Trial]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(features [B], raw values [B], cells bool [B, P], everywhere bool [B]) of some trials."""
        features = torch.tensor([t.feature for t in part])
        values = torch.tensor([t.strength * self.maximum[t.feature] for t in part], dtype=torch.float32)
        cells = torch.from_numpy(np.stack([self.scenes[t.scene].cells(t.scope)[0] for t in part]))
        everywhere = torch.tensor([t.scope == "all" for t in part])
        return features, values, torch.cat([everywhere[:, None].expand(-1, self.asker.lead), cells], 1), everywhere

    def _freed(self, hidden: Tensor, part: list[Trial], mask: Tensor) -> Tensor:
        """What a swap takes away: the own features of the class that stands there, on its cells."""
        out = torch.zeros_like(hidden)
        for r, t in enumerate(part):
            features = self.own.get(self.scenes[t.scene].own_cls, []) if t.scope == "swap" else []
            if features:
                acts = self.asker.sae.activations(hidden[r, mask[r]])[:, features]
                out[r, mask[r]] -= acts @ self.asker.sae.w_dec[features]
        return out

    def changed(self, part: list[Trial], arm: Arm) -> tuple[Prefix, Tensor, Callable[[Tensor], Tensor]]:
        """Mode `delta`: the images' rows, their changed hidden states, and what happens to the words behind them.

        `negated` turns every change round, `random` carries it on another live feature's row at equal norm. Every change is computed from the same
        hidden states and they add up, as in every engine.
        """
        rows = self.prefix.rows(torch.tensor([t.scene for t in part]))
        features, values, mask, everywhere = self._set(part)
        directions = torch.from_numpy(self.rng.choice(self.alive, len(part))) if arm == "random" else None
        sign = -1.0 if arm == "negated" else 1.0

        def change(hidden: Tensor, where: Tensor) -> Tensor:
            return sign * (self.asker.set_where(hidden, features, values, where, directions) - hidden)

        def words(h: Tensor) -> Tensor:
            return h + change(h, everywhere[:, None].expand(h.shape[:2])) if bool(everywhere.any()) else h

        return rows, rows.hidden + change(rows.hidden, mask) + sign * self._freed(rows.hidden, part, mask), words

    def _each(self, chosen: list[Trial], label: str, answer: Callable[[list[Trial]], list[str]]) -> list[str]:
        out: list[str] = []
        for start in range(0, len(chosen), BATCH):
            out += answer(chosen[start : start + BATCH])
            if start // BATCH % 25 == 0:
                print(f"[{hook_name(self.asker.split.layer)}] {label}: {start} of {len(chosen)} captions", flush=True)
        return out

    @torch.inference_mode()
    def captions(self, chosen: list[Trial], arm: Arm) -> list[str]:
        """What the model says it sees, trial by trial, in mode `delta`."""

        def answer(part: list[Trial]) -> list[str]:
            rows, hidden, words = self.changed(part, arm)
            return self.asker.ask(rows.low, self.asker.open(hidden), QUESTION, LIMIT, words)

        return self._each(chosen, arm, answer)

    @torch.inference_mode()
    def reconstructed(self, chosen: list[Trial], clamped: bool) -> list[str]:
        """The same in mode `reconstruct`: the dictionary's output everywhere, clamps on the prompt only; without clamps, what the mode costs by itself."""

        def answer(part: list[Trial]) -> list[str]:
            rows = self.prefix.rows(torch.tensor([t.scene for t in part]))
            features, values, mask, _ = self._set(part)
            hidden = self.asker.reconstruct_where(rows.hidden, features, values, mask & clamped)
            return self.asker.ask(rows.low, self.asker.open(hidden), QUESTION, LIMIT, self.asker.sae.reconstruct)

        return self._each(chosen, "reconstruct" if clamped else "reconstruction", answer)

    @torch.inference_mode()
    def told(self, chosen: list[Trial]) -> list[str]:
        """The prompt-only control: asked whether the thing is there, the model is made to have said yes; then what it sees. No feature is touched."""
        out = []
        for t in chosen:
            entity = next(e for e in ENTITIES if e.cls == t.cls)
            first = WORDINGS["presence"][0].format(with_article(entity_phrase(entity)))
            ids = self.asker.words_of([("user", first), ("assistant", "yes"), ("user", QUESTION)])
            row = self.prefix.rows(torch.tensor([t.scene]))
            out += self.asker.ask_rows(row.low, self.asker.open(row.hidden), torch.tensor([ids]), LIMIT)
        return out

    def untouched(self, part: list[Trial]) -> tuple[Prefix, Tensor, None]:
        """The images' rows as they are."""
        rows = self.prefix.rows(torch.tensor([t.scene for t in part]))
        return rows, rows.hidden, None

    def unrelated(self, chosen: list[Trial], asked: list[Question], arm: Arm | None) -> Share:
        """How many questions about other things are answered right while clamps act; `None`: without any."""
        answers = right(self.asker, chosen, asked, self.untouched if arm is None else lambda part: self.changed(part, arm))
        return share(sum(answers), len(chosen))

    def forms(self, chosen: list[Trial]) -> list[dict[str, Any]]:
        """The same trials asked in other forms."""

        def by(arm: Arm) -> Changed:
            return lambda part: self.changed(part, arm)

        return measure_forms(self.asker, chosen, self.scenes, self.untouched, {arm: by(arm) for arm in FORM_ARMS})


def _counted(chosen: list[Trial], texts: list[str]) -> dict[str, Any]:
    return {
        "named": share(sum(names(x, t.cls) for x, t in zip(texts, chosen, strict=True)), len(chosen)),
        "well_formed": share(sum(map(well_formed, texts)), len(chosen)),
    }


def effect_rows(chosen: list[Trial], texts: dict[Arm, list[str]]) -> list[dict[str, Any]]:
    """One row a scope and strength."""
    rows = []
    for scope in SCOPES:
        for strength in STRENGTHS:
            at = [n for n, t in enumerate(chosen) if t.scope == scope and t.strength == strength]
            part = [chosen[n] for n in at]
            row: dict[str, Any] = {"scope": scope, "strength": strength}
            for arm, said in texts.items():
                row[arm] = _counted(part, [said[n] for n in at])
            if part[0].place is not None:
                row["in_place"] = share(sum(placed(texts["steered"][n], chosen[n]) for n in at), len(at))
            rows.append(row)
    return rows


@dataclass
class Setting:
    """What is counted on at one hook: the trials and all that they are made from."""

    experiment: Experiment
    catalogue: Catalogue
    clean: list[Clean]
    own: dict[int, list[int]]
    alive: npt.NDArray[np.int64]
    chosen: list[Trial]


def prepare(model: Path, dictionary: Path, work: Path, layer: int, features: int, images: int, seed: int) -> Setting:
    """The same trials for the same seed."""
    hook = hook_name(layer)
    catalogue, codes = load_images(work / "images.npz"), open_codes(work / "codes" / hook)
    cache = load_cache(work / f"cache.{hook}.npz")
    asker = Asker(load_checkpoint(model), layer, TopKSae.load(dictionary))
    n = codes.images
    catalogue = Catalogue(catalogue.scenes[:n], catalogue.data[:n], catalogue.pixels[:n], catalogue.chats[:n])
    maximum, alive = cache.stats.max_activation, np.flatnonzero(cache.stats.images > 0)
    every = clean_features(codes, catalogue.scenes, image_scores(codes)[0])
    own: dict[int, list[int]] = defaultdict(list)
    for c in every:
        own[c.cls].append(c.feature)
    clean = pick(every, maximum, features)
    rng = np.random.default_rng([seed, 3])
    scenes = stages(catalogue, 40, rng)
    chosen = trials(clean, scenes, images, rng)
    experiment = Experiment(asker, scenes, asker.read(catalogue.pixels[[s.index for s in scenes]]), maximum, alive, own, rng)
    return Setting(experiment, catalogue, clean, own, alive, chosen)


def measure_other_forms(
    model: Path, dictionary: Path, work: Path, layer: int, features: int, images: int, seed: int
) -> list[dict[str, Any]]:
    """Only the other forms of question at one hook, with random directions of their own, so that they come out the same by themselves."""
    torch.set_num_threads(1)
    s = prepare(model, dictionary, work, layer, features, images, seed)
    s.experiment.rng = np.random.default_rng([seed, 4])
    return s.experiment.forms(s.chosen)


def measure(model: Path, dictionary: Path, work: Path, layer: int, features: int, images: int, seed: int) -> dict[str, Any]:
    """The whole experiment at one hook."""
    torch.set_num_threads(1)
    s = prepare(model, dictionary, work, layer, features, images, seed)
    experiment, catalogue, clean, own, alive, chosen = s.experiment, s.catalogue, s.clean, s.own, s.alive, s.chosen
    asker, scenes, rng = experiment.asker, experiment.scenes, experiment.rng
    texts = {arm: experiment.captions(chosen, arm) for arm in ARMS}

    def only(scope: str, strength: float) -> list[Trial]:
        return [t for t in chosen if (t.scope, t.strength) == (scope, strength)]

    reconstruct = []
    for scope, strength in RECONSTRUCT:
        part = only(scope, strength)
        reconstruct.append({"scope": scope, "strength": strength, **_counted(part, experiment.reconstructed(part, clamped=True))})
    once = only("image", STRENGTHS[0])
    asked = questions(once, scenes, rng)
    unrelated = []
    for scope, strength in UNRELATED:
        part = only(scope, strength)
        arms: dict[str, Share] = {arm: experiment.unrelated(part, asked, arm) for arm in UNRELATED_ARMS}
        unrelated.append({"scope": scope, "strength": strength, **arms})
    with torch.inference_mode():
        plain = asker.ask(experiment.prefix.low, asker.open(experiment.prefix.hidden), QUESTION, LIMIT)
    shown: dict[int, list[int]] = {c.cls: own[c.cls] for c in clean}
    return {
        "hook": hook_name(layer), "features": len(clean), "classes": [CLASSES[c.cls].name for c in clean], "question": QUESTION,
        "baseline": _counted(once, [plain[t.scene] for t in once]), "told": _counted(once, experiment.told(once)),
        "rows": effect_rows(chosen, texts),
        "reconstruction": _counted(once, experiment.reconstructed(once, clamped=False)), "reconstruct": reconstruct,
        "ablation": Ablations(asker, catalogue, shown, alive, rng).measure(images, QUESTION, LIMIT),
        "unrelated": {"baseline": experiment.unrelated(once, asked, None), "rows": unrelated},
        "examples": [{"class": CLASSES[t.cls].name, "scope": t.scope, "strength": t.strength, "before": plain[t.scene], "after": texts["steered"][n]} for n, t in enumerate(chosen) if t.strength == 4.0][:: max(1, len(chosen) // 48)][:12],
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.measure_steering", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="the recipe's work folder: images, codes and caches")
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--images", type=int, default=2, help="images a feature")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forms", action="store_true", help="only the other forms of question, into the results that are there")
    parser.add_argument("--table", type=Path, help="write the Markdown tables into this page, between its marks")
    a = parser.parse_args()
    file = a.out / "results" / "steering.json"

    with ProcessPoolExecutor(min(2, len(a.layers)), get_context("spawn")) as pool:

        def at_each(work: Callable[..., Any]) -> list[Any]:
            jobs = [
                pool.submit(work, a.out / "model", a.out / "dictionaries" / hook_name(n), a.work, n, a.features, a.images, a.seed)
                for n in a.layers
            ]
            return [job.result() for job in jobs]

        results = json.loads(file.read_text()) if a.forms else at_each(measure)
        forms = dict(zip(map(hook_name, a.layers), at_each(measure_other_forms), strict=True))
    for r in results:
        r["forms"] = forms.get(r["hook"], r.get("forms", []))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")
    if a.table:
        a.table.write_text(into_page(a.table.read_text(), markdown(results, QUESTION)))
    print(markdown(results, QUESTION))


if __name__ == "__main__":
    main()
