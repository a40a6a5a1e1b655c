"""Where in the model a question is answered: the states of a thing that is not there are put into a picture, block by block, and it is asked about.

    python -m demo.steering_where_read --out demo [--table docs/steering.md] [--pairs 160]

Two pictures differ in one thing. The model reads the one; behind some block the states of that thing's patches become those of the other picture, the
best that any clamp there could do; the words of the question have read the first picture up to that block, as they have under a clamp.
Writes results/where_read.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from demo.claims import Truth
from demo.classes import CLASSES
from demo.steering_page import into_page
from demo.steering_trials import names, share
from demo.tasks import WORDINGS, entity_phrase, place_phrase, with_article
from demo.world import MODEL_PX, Scene, render, sample_scene
from facet_worker.checkpoint import load_checkpoint
from facet_worker.hooks import hook_name
from facet_worker.sae import TopKSae
from facet_worker.split import Caches
from facet_worker.steer import Asker

BEGIN = "<!-- counted: python -m demo.steering_where_read writes from here -->"
END = "<!-- counted: where it is read, to here -->"
KINDS = ("animal", "food", "vehicle", "plant", "thing")


@dataclass(frozen=True)
class Pair:
    """A scene, and the same with another thing in its largest one's place; `own`: the patches bool [144] that either covers."""

    without: Scene
    with_it: Scene
    cls: int
    presence: str
    what_at: str
    own: npt.NDArray[np.bool_]


def draw_pairs(count: int, seed: int) -> list[Pair]:
    """From scenes of the test split with one to three things."""
    rng = np.random.default_rng(seed)
    out: list[Pair] = []
    at = 0
    while len(out) < count:
        scene = sample_scene(at, "test")
        at += 1
        truth = Truth(scene)
        if not 1 <= len(scene.objects) <= 3:
            continue
        largest = int(truth.shown.sum(1).argmax())
        old = scene.objects[largest]
        if old.kind not in KINDS or truth.shown[largest].sum() < 4:
            continue
        absent = [c for c in CLASSES if c.kind in KINDS and all(c.index != o.cls for o in scene.objects)]
        cls = absent[int(rng.integers(len(absent)))]
        new = replace(old, cls=cls.index, kind=cls.kind, colour=None, emotion=None, text=None)
        other = replace(scene, objects=tuple(new if n == largest else o for n, o in enumerate(scene.objects)))
        presence = WORDINGS["presence"][0].format(with_article(entity_phrase(new.entity)))
        what_at = WORDINGS["what_at"][0].format(place_phrase(old.place))
        out.append(Pair(scene, other, cls.index, presence, what_at, truth.shown[largest] | Truth(other).shown[largest]))
    return out


def _answers(asker: Asker, low: Caches, up: Caches, questions: list[str], limit: int) -> list[str]:
    by_length: dict[int, list[int]] = defaultdict(list)
    ids = [asker.words_of([("user", q)]) for q in questions]
    for n, row in enumerate(ids):
        by_length[len(row)].append(n)
    out = [""] * len(questions)
    for part in by_length.values():
        rows = torch.tensor(part)
        said = asker.ask_rows([c[rows] for c in low], [c[rows] for c in up], torch.tensor([ids[n] for n in part]), limit)
        for n, text in zip(part, said, strict=True):
            out[n] = text
    return out


@torch.inference_mode()
def measure_block(asker: Asker, pairs: list[Pair]) -> dict[str, Any]:
    """Behind one block: how often the thing is said to be there, and named at its place, as the states are the one picture's or the other's."""

    def read(scenes: list[Scene]) -> tuple[Tensor, Caches]:
        prefix = asker.read(np.stack([render(s, MODEL_PX) for s in scenes]))
        return prefix.hidden, prefix.low

    without, below = read([p.without for p in pairs])
    with_it, below_it = read([p.with_it for p in pairs])
    own = torch.nn.functional.pad(torch.from_numpy(np.stack([p.own for p in pairs])), (asker.lead, 0))
    swapped = torch.where(own[..., None], with_it, without)
    out: dict[str, Any] = {}
    for name, hidden, low in (
        ("neither", without, below),
        ("above", swapped, below),
        ("below", without, below_it),
        ("both", with_it, below_it),
    ):
        up = asker.open(hidden)
        yes = sum(text == "yes" for text in _answers(asker, low, up, [p.presence for p in pairs], 3))
        named = sum(names(text, p.cls) for text, p in zip(_answers(asker, low, up, [p.what_at for p in pairs], 8), pairs, strict=True))
        out[name] = {"yes": share(yes, len(pairs)), "named": share(named, len(pairs))}
    return out


def markdown(results: dict[str, Any]) -> str:
    """The table of the page."""
    lines = [
        "| behind | “is there a …?”: yes, the thing's states there | “what is at the …?”: named | yes, where only what lies below has read it | n |",
        "|---|---|---|---|---|",
    ]
    for row in results["blocks"]:

        def at(which: str, what: str, row: dict[str, Any] = row) -> str:
            s = row[which][what]
            return f"{s['share']:.2f} [{s['low']:.2f}–{s['high']:.2f}]"

        lines.append(f"| {row['hook']} | {at('above', 'yes')} | {at('above', 'named')} | {at('below', 'yes')} | {results['pairs']} |")
    first = results["blocks"][0]
    neither, both = (f"{first[which]['yes']['share']:.2f}" for which in ("neither", "both"))
    return "\n".join([*lines, "", f"With the picture as it is {neither} say yes; with the other picture read throughout {both}."])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.steering_where_read", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--pairs", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the table into this page, between its marks")
    a = parser.parse_args()
    checkpoint, pairs = load_checkpoint(a.out / "model"), draw_pairs(a.pairs, a.seed)
    # Nothing is encoded: any dictionary of the width serves the asker.
    sae = TopKSae.load(a.out / "dictionaries" / hook_name(0))
    blocks = []
    for layer in range(len(checkpoint.model.model.language_model.layers) - 1):
        blocks.append({"hook": hook_name(layer), **measure_block(Asker(checkpoint, layer, sae), pairs)})
        print(f"[where read] {hook_name(layer)}: done", flush=True)
    results = {"pairs": len(pairs), "seed": a.seed, "blocks": blocks}
    (a.out / "results" / "where_read.json").write_text(json.dumps(results, indent=2) + "\n")
    if a.table:
        a.table.write_text(into_page(a.table.read_text(), markdown(results), BEGIN, END))
    print(markdown(results))


if __name__ == "__main__":
    main()
