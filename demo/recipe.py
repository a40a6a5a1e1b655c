"""The whole recipe of the embedded demo: model → dictionaries → cache → ONNX → bundle → explanations → scores → manifest.

    python -m demo.recipe --seed 0 --work DIR --out demo [--from-checkpoint DIR] [--layers 0 1] [--reduced] [--stage NAME …]

Every stage leaves its result in the work folder and is skipped when it is there already; `--stage` names those to do again.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from demo.recipe_sizes import Sizes
from demo.recipe_stages import STAGES, Recipe


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.recipe", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="where stages leave their results")
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="where model/, dictionaries/, bundle/, results/ and manifest.json go"
    )
    parser.add_argument("--from-checkpoint", type=Path, help="take this trained checkpoint instead of training one")
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1], help="blocks whose outputs get a dictionary")
    parser.add_argument("--reduced", action="store_true", help="a two-minute run: a small model, few steps, 128 latents")
    parser.add_argument("--images", type=int, help="how many catalogue images")
    parser.add_argument("--latents", type=int)
    parser.add_argument("--steps", type=int, help="training steps of a dictionary")
    parser.add_argument("--scenes", type=int, help="training scenes of a dictionary")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stage", nargs="*", default=None, choices=list(STAGES), help="do only these, again")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the stages that are missing, or those that were named."""
    a = parse(argv)
    sizes = Sizes.reduced() if a.reduced else Sizes()
    sizes = sizes.changed(images=a.images, latents=a.latents, steps=a.steps, train_scenes=a.scenes)
    recipe = Recipe(a.seed, a.work, a.out, a.from_checkpoint, tuple(a.layers), sizes, a.workers)
    a.work.mkdir(parents=True, exist_ok=True)
    for name, stage in STAGES.items():
        if a.stage is not None and name not in a.stage:
            continue
        if a.stage is None and recipe.done(name):
            print(f"[{name}] done already", flush=True)
            continue
        start = time.monotonic()
        stage(recipe)
        recipe.mark(name, time.monotonic() - start)
        print(f"[{name}] {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
