"""Two ways to find what lights features up, on the same codes: a state that is carried along, and the paper's, which stores every activation and sorts.

    .venv/bin/python bench/cache.py [--images 400] [--rounds 3] [--out bench/results/cache.json]

The embedded model and its dictionary at block 1 read pictures of the embedded catalogue once; that part both share is timed apart. Then, of the same codes, each
way finds every feature's five pictures with the largest mean. The lists must be equal. Bytes are those left on the disk at the end of the pass, before sorting.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file

from facet_worker.feature_state import FeatureState, Keep
from facet_worker.pipeline.cache_shards import load_state, save_state
from facet_worker.pipeline.paper_layout import Activations, save_sorted, write_files
from facet_worker.pipeline.pictures import pixels_of
from facet_worker.torch_engine import TorchEngine
from facet_worker.training.model_source import Example, ModelSource

ROOT = Path(__file__).parents[1]
HOOK = "model.layers.1"
BATCH, SHARD, TOP = 8, 64, 5
Codes = list[tuple[Any, Any, Any]]
Top = dict[int, list[int]]


def codes_of(images: int) -> tuple[Codes, int, int]:
    """(items, indices [B, cells, k], values) of each batch; number of latents and of cells."""
    engine = TorchEngine.load(ROOT / "demo/model", {HOOK: ROOT / "demo/dictionaries" / HOOK})
    served = engine.served[engine.dictionaries()[0]]
    files = pq.read_table(ROOT / "demo/bundle/images.parquet", columns=["bytes"]).column("bytes")[:images].to_pylist()
    source = ModelSource(engine.hooked.model, engine.prompter.processor, [HOOK], [Example("", lambda: pixels_of(files[0]))], "image", 0)
    out: Codes = []
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        prompts = [source.prompt(Example("", lambda data=data: pixels_of(data))) for data in part]
        cells = prompts[0].layout.images[0].cells
        with torch.inference_mode():
            states = source.states(prompts)[:, cells, 0]
            indices, values = served.sae.encode(states.flatten(0, 1))
        shape = (len(part), len(cells), -1)
        out.append((np.arange(start, start + len(part)), indices.numpy().reshape(shape), values.numpy().reshape(shape)))
    return out, served.sae.num_latents, len(cells)


def shards_of(codes: Codes) -> list[Codes]:
    step = SHARD // BATCH
    return [codes[i : i + step] for i in range(0, len(codes), step)]


def by_state(codes: Codes, latents: int, cells: int, folder: Path) -> tuple[Top, dict[str, float]]:
    """As `facet-worker cache` does: a state a shard, all added up."""
    begun = time.perf_counter()
    side, paths = round(cells**0.5), []
    for number, shard in enumerate(shards_of(codes)):
        state = FeatureState(latents, Keep(top=TOP))
        for items, indices, values in shard:
            state.add_images(items, (side, side), indices, values)
        paths.append(folder / f"{number}.safetensors")
        save_state(state, paths[-1])
    stored = sum(path.stat().st_size for path in paths)
    passed = time.perf_counter()
    total = load_state(paths[0])
    for path in paths[1:]:
        total.merge(load_state(path))
    table = total.top.settle()
    top: Top = {}
    for feature, item in zip(table.feature.tolist(), table.item.tolist(), strict=True):
        top.setdefault(feature, []).append(item)
    return top, {"pass_s": passed - begun, "sort_s": time.perf_counter() - passed, "bytes": stored, "merged_bytes": total.nbytes}


def by_storing(codes: Codes, latents: int, cells: int, folder: Path) -> tuple[Top, dict[str, float]]:
    """As the paper's tools do: every activation into files by feature, and each file sorted. Its activations rounded to float16, to compare lists."""
    begun = time.perf_counter()
    paths = []
    for number, shard in enumerate(shards_of(codes)):
        paths.append(folder / f"{number}.every.safetensors")
        rounded = [(items, indices, values.astype(np.float16)) for items, indices, values in shard]
        save_sorted([Activations.of_codes(*part) for part in rounded], latents, paths[-1])
    files = write_files(paths, latents, folder / HOOK)
    stored = sum(path.stat().st_size for path in files)
    passed = time.perf_counter()
    top: Top = {}
    for path in files:
        arrays = load_file(path)
        locations, values = arrays["locations"], arrays["activations"].astype(np.float64)
        order = np.lexsort((locations[:, 0], locations[:, 2]))
        key = locations[order, 2] * len(codes) * BATCH + locations[order, 0]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        means = np.add.reduceat(values[order], first) / cells
        feature, item = np.divmod(key[first], len(codes) * BATCH)
        best = np.lexsort((item, -means, feature))
        for f, i in zip(feature[best].tolist(), item[best].tolist(), strict=True):
            found = top.setdefault(f, [])
            if len(found) < TOP:
                found.append(i)
    return top, {"pass_s": passed - begun, "sort_s": time.perf_counter() - passed, "bytes": stored}


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results/cache.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.perf_counter()
    codes, latents, cells = codes_of(options.images)
    model_s = time.perf_counter() - begun
    ways: dict[str, Callable[[Codes, int, int, Path], tuple[Top, dict[str, float]]]] = {"state": by_state, "store and sort": by_storing}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    sizes = [n for n in (options.images // 4, options.images // 2, options.images) if n >= SHARD]
    growth: list[dict[str, Any]] = []
    for number in range(options.rounds):
        tops = {}
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                tops[name], row = way(codes, latents, cells, Path(folder))
            rows[name].append(row)
        if tops["state"] != tops["store and sort"]:
            raise SystemExit("The two ways found other pictures.")
        print(f"round {number + 1}", {name: {key: round(value, 2) for key, value in every[-1].items()} for name, every in rows.items()})
    for images in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _, one = by_state(codes[: images // BATCH], latents, cells, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            _, other = by_storing(codes[: images // BATCH], latents, cells, Path(folder))
        growth.append({"images": images, "state_bytes": one["merged_bytes"], "stored_bytes": other["bytes"]})
    report = {
        "images": options.images, "cells": cells, "latents": latents, "k": int(codes[0][1].shape[2]), "hook": HOOK, "model_s": round(model_s, 2),
        "active": int(sum((values > 0).sum() for _, _, values in codes)),
        "ways": {
            name: {key: round(float(np.median([row[key] for row in every])), 3) for key in every[0]} for name, every in rows.items()
        },
        "rounds": options.rounds, "equal_lists": True, "growth": growth, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "load": os.getloadavg()[0], "processor": platform.processor() or platform.machine(), "torch_threads": 1,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
