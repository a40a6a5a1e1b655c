"""The stages of the recipe, each a function of where things lie and how large they are to be."""

from __future__ import annotations

import datetime
import functools
import json
import multiprocessing
import platform
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import transformers

from demo import own_words
from demo.catalogue import ATTRIBUTION, Catalogue, load_bundle, load_images, make_images, split_items
from demo.clean_features import coverage
from demo.explain_demo import describe_places, explain_dictionary, load_explanations, load_said, save_explanations, save_said, wanted_places
from demo.labels import put_labels
from demo.recipe_model import train_checkpoint
from demo.recipe_sizes import Sizes
from demo.score_demo import score_dictionary, summary
from facet_worker import catalogue as catalogues
from facet_worker.bundle import DictionaryPart, check_bundle, write_bundle
from facet_worker.cache import Keep, build_caches, load_cache, save_cache
from facet_worker.checkpoint import WEIGHTS_FILE, Checkpoint, load_checkpoint
from facet_worker.codes import open_codes
from facet_worker.engine_json import engine_description, write_engine
from facet_worker.errors import FacetError
from facet_worker.export_onnx import export_encoder, export_model
from facet_worker.harvest import Harvester, collect
from facet_worker.hooks import hook_name
from facet_worker.neighbours import Neighbour, coactivation, decoder_cosine, nearest
from facet_worker.onnx_engine import check_parity
from facet_worker.quality import loss_recovered
from facet_worker.sae import WEIGHTS_FILE as SAE_FILE
from facet_worker.sae import TopKSae, file_sha256
from facet_worker.score import Score
from facet_worker.steer import Asker
from facet_worker.tokens import token_weights
from facet_worker.train import TrainConfig, describe, evaluate, train

MODEL_ID = "facet-emoji"
MODEL_NAME = "Facet Emoji LLaVA 6M"
HELDOUT_START = 500_000  # seeds of the validation split that only dictionaries are measured on
TRAIN_START = 9_000_000  # seeds of the training split that the model's own training does not reach


@dataclass(frozen=True)
class Recipe:
    """One run: where things lie and how large they are."""

    seed: int
    work: Path
    out: Path
    checkpoint: Path | None
    layers: tuple[int, ...]
    sizes: Sizes
    workers: int

    @property
    def model(self) -> Path:
        return self.out / "model"

    def dictionary(self, layer: int) -> Path:
        return self.out / "dictionaries" / hook_name(layer)

    def codes(self, layer: int) -> Path:
        return self.work / "codes" / hook_name(layer)

    def file(self, name: str, layer: int, ending: str = "json") -> Path:
        return self.work / f"{name}.{hook_name(layer)}.{ending}"

    def done(self, stage: str) -> bool:
        return (self.work / f"{stage}.done").is_file()

    def mark(self, stage: str, seconds: float) -> None:
        (self.work / f"{stage}.done").write_text(f"{seconds:.1f}\n")

    def report(self, name: str, content: Any) -> None:
        """Write a report beside the artefacts."""
        folder = self.out / "results"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")

    def load(self) -> Checkpoint:
        return load_checkpoint(self.model)

    def catalogue(self) -> Catalogue:
        return load_images(self.work / "images.npz", self.sizes.images)


@functools.cache
def _pool(workers: int) -> ProcessPoolExecutor:
    # threads of one process wait for each other at every small operation, so each hook gets a process of one thread
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,))


def _each(recipe: Recipe, task: Callable[[Recipe, int], Any]) -> dict[int, Any]:
    """Run a task for every hook, one process a hook where there are processors for it."""
    torch.set_num_threads(1)
    if recipe.workers < 2 or len(recipe.layers) < 2:
        return {layer: task(recipe, layer) for layer in recipe.layers}
    pool = _pool(min(recipe.workers, len(recipe.layers)))
    futures = {layer: pool.submit(task, recipe, layer) for layer in recipe.layers}
    return {layer: future.result() for layer, future in futures.items()}


def make_catalogue(recipe: Recipe) -> None:
    """Draw and encode the catalogue's scenes; needs no model."""
    recipe.work.mkdir(parents=True, exist_ok=True)
    path = recipe.work / "images.npz"
    if path.is_file():
        with np.load(path) as stored:
            if len(stored["seeds"]) >= recipe.sizes.images:
                return
    make_images(path, recipe.sizes.images, recipe.workers)


def make_model(recipe: Recipe) -> None:
    """Take a trained checkpoint, or train one."""
    source = recipe.checkpoint
    if source is None:
        source = recipe.work / "checkpoint"
        if not (source / WEIGHTS_FILE).is_file():
            train_checkpoint(source, recipe.work, recipe.sizes.model_steps)
    shutil.rmtree(recipe.model, ignore_errors=True)
    recipe.model.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.is_file():
            shutil.copyfile(file, recipe.model / file.name)


def _train_one(recipe: Recipe, layer: int) -> dict[str, Any]:
    s = recipe.sizes
    checkpoint = recipe.load()
    _, items = split_items("train", TRAIN_START, s.train_scenes, s.train_texts, recipe.seed)
    data = collect(checkpoint, items, [layer])[layer]
    # twice as many latents die at the first block
    spare = s.spare * (2 if layer == 0 else 1)
    config = TrainConfig(num_latents=s.latents, spare=spare, k=s.k, steps=s.steps, batch=s.batch, seed=recipe.seed)
    sae = train(data, config, lambda line: print(f"[{hook_name(layer)}] {line}", flush=True))
    folder = recipe.dictionary(layer)
    shutil.rmtree(folder, ignore_errors=True)
    sae.save(folder)
    _, heldout = split_items("val", HELDOUT_START, s.heldout_scenes, 3, recipe.seed)
    metrics = evaluate(sae, collect(checkpoint, heldout, [layer])[layer])
    metrics |= loss_recovered(checkpoint, layer, sae, heldout[:96])
    report = {
        "hook": hook_name(layer),
        "metrics": metrics,
        "training": describe(config),
        "scenes": s.train_scenes,
        "tokens": len(data.image) + len(data.text),
    }
    recipe.file("quality", layer).write_text(json.dumps(report, indent=2))
    return report


def make_dictionaries(recipe: Recipe) -> None:
    """Train a dictionary at each hook and measure it on held-out scenes."""
    recipe.report("dictionaries", list(_each(recipe, _train_one).values()))


def _cache_one(recipe: Recipe, layer: int) -> None:
    sae = TopKSae.load(recipe.dictionary(layer))
    caches = build_caches(recipe.load(), {layer: sae}, recipe.catalogue().items(), {layer: recipe.codes(layer)}, Keep())
    save_cache(caches[layer], recipe.file("cache", layer, "npz"))


def make_cache(recipe: Recipe) -> None:
    """One pass over the catalogue for each hook."""
    _each(recipe, _cache_one)


def _describe_one(recipe: Recipe, layer: int) -> None:
    """One hook's process asks about its share of the images that any hook wants."""
    wanted = wanted_places([load_cache(recipe.file("cache", n, "npz")) for n in recipe.layers])
    mine = {image: places for image, places in wanted.items() if image % len(recipe.layers) == recipe.layers.index(layer)}
    asker = Asker(recipe.load(), layer, TopKSae.load(recipe.dictionary(layer)))
    said = describe_places(asker, recipe.catalogue(), mine, lambda line: print(line, flush=True))
    save_said(said, recipe.file("said", layer))


def make_descriptions(recipe: Recipe) -> None:
    """Ask the model what stands where features fire, once for all dictionaries."""
    _each(recipe, _describe_one)


def _explain_one(recipe: Recipe, layer: int) -> int:
    said = load_said([recipe.file("said", n) for n in recipe.layers])
    sae, cache = TopKSae.load(recipe.dictionary(layer)), load_cache(recipe.file("cache", layer, "npz"))
    recipe.file("classes", layer).write_text(json.dumps(coverage(open_codes(recipe.codes(layer)), recipe.catalogue().scenes)))
    return explain_dictionary(recipe.load(), layer, sae, cache, recipe.catalogue(), said, MODEL_ID, recipe.file("explanations", layer))


def make_explanations(recipe: Recipe) -> None:
    """Explain every feature by what the model said of whole pictures, and by its tokens."""
    _each(recipe, _explain_one)


def _bundled(recipe: Recipe, layer: int) -> catalogues.Catalogue:
    return catalogues.Catalogue(recipe.out / "bundle", hook_name(layer))


def _own_words_one(recipe: Recipe, layer: int) -> None:
    folder = recipe.work / "own-words" / hook_name(layer)
    sae = TopKSae.load(recipe.dictionary(layer))
    rows, _ = own_words.explain(recipe.load(), layer, sae, _bundled(recipe, layer), MODEL_ID, folder, recipe.sizes.looked)
    save_explanations(rows, recipe.file("own-words", layer))


def make_own_words(recipe: Recipe) -> None:
    """Explain every feature of the bundle by the pipeline's explainers; goes on where it was ended."""
    _each(recipe, _own_words_one)


def _score_one(recipe: Recipe, layer: int) -> dict[str, Any]:
    catalogue, shown = _bundled(recipe, layer), load_bundle(recipe.out / "bundle")
    rows = load_explanations(recipe.file("own-words", layer)) + load_explanations(recipe.file("explanations", layer))
    scores, explanations = score_dictionary(
        recipe.load(), layer, TopKSae.load(recipe.dictionary(layer)), catalogue, shown, rows, recipe.work / "scores" / hook_name(layer),
        recipe.sizes.probes, recipe.sizes.judged, recipe.seed, lambda line: print(f"[{hook_name(layer)}] {line}", flush=True),
    )  # fmt: skip
    recipe.file("scores", layer).write_text(json.dumps([asdict(score) for score in scores]))
    save_explanations(explanations, recipe.file("scored", layer))
    report = summary(explanations, scores, list(catalogue.features()), catalogue.num_latents)
    return {**report, "classes": json.loads(recipe.file("classes", layer).read_text())}


def make_scores(recipe: Recipe) -> None:
    """Score every explanation, choose the preferred ones, report the distributions, and put all of it into the bundle."""
    reports = _each(recipe, _score_one)
    for layer in recipe.layers:
        scores = [Score(**row) for row in json.loads(recipe.file("scores", layer).read_text())]
        put_labels(recipe.out / "bundle", hook_name(layer), load_explanations(recipe.file("scored", layer)), scores)
    check_bundle(recipe.out / "bundle")
    recipe.report("explanations", {hook_name(layer): report for layer, report in reports.items()})


def _parity_one(recipe: Recipe, layer: int) -> dict[str, Any]:
    checkpoint, catalogue = recipe.load(), recipe.catalogue()
    count = min(recipe.sizes.parity_prompts, len(catalogue))
    prompts = [checkpoint.ids_of(checkpoint.prompt([("user", chat.turns[0][0])])) for chat in catalogue.chats[:count]]
    parity = check_parity(checkpoint, layer, recipe.dictionary(layer), catalogue.pixels[:count], prompts)
    if parity.hidden > 1e-3 or parity.same_text != parity.prompts:
        raise FacetError(f"The graphs at {hook_name(layer)} differ from PyTorch: {parity}.")
    return asdict(parity)


def make_onnx(recipe: Recipe) -> None:
    """Export the graphs and hold them against PyTorch."""
    checkpoint = recipe.load()
    export_model(checkpoint, recipe.layers)
    for layer in recipe.layers:
        export_encoder(recipe.dictionary(layer))
    dictionaries = {layer: recipe.dictionary(layer) for layer in recipe.layers}
    write_engine(recipe.model / "engine.json", engine_description(checkpoint, MODEL_ID, MODEL_NAME, dictionaries, recipe.model))
    recipe.report("onnx", {hook_name(layer): parity for layer, parity in _each(recipe, _parity_one).items()})


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
    }


def _neighbours_one(recipe: Recipe, layer: int) -> None:
    sae, cache = TopKSae.load(recipe.dictionary(layer)), load_cache(recipe.file("cache", layer, "npz"))
    alive = ~cache.stats.dead
    near = nearest(decoder_cosine(sae.w_dec), "decoder", alive) + nearest(coactivation(open_codes(recipe.codes(layer))), "coactive", alive)
    recipe.file("neighbours", layer).write_text(json.dumps([asdict(n) for n in near]))


def make_neighbours(recipe: Recipe) -> None:
    """Which features write alike, and which fire together."""
    _each(recipe, _neighbours_one)


def _part(recipe: Recipe, checkpoint: Checkpoint, layer: int) -> DictionaryPart:
    sae, cache = TopKSae.load(recipe.dictionary(layer)), load_cache(recipe.file("cache", layer, "npz"))
    near = [Neighbour(**row) for row in json.loads(recipe.file("neighbours", layer).read_text())]
    vocabulary = checkpoint.tokenizer.convert_ids_to_tokens(list(range(len(checkpoint.tokenizer))))
    norm = checkpoint.model.model.language_model.norm.weight  # the final norm scales each direction before the output matrix reads it
    weights = token_weights(sae.w_dec * norm, checkpoint.model.lm_head.weight, vocabulary, "writes")
    weights += token_weights(sae.w_enc, checkpoint.model.get_input_embeddings().weight, vocabulary, "reads")
    quality = json.loads(recipe.file("quality", layer).read_text())["metrics"]
    about = {
        "id": hook_name(layer), "hook": hook_name(layer), "layer": layer, "sha256": file_sha256(recipe.dictionary(layer) / SAE_FILE),
        "num_latents": sae.num_latents, "width": sae.width, "activation": "topk", "k": sae.k,
        # a latent is dead when it fires on no token of the whole catalogue: held-out scenes alone are too few to show every class
        "metrics": {**{name: quality[name] for name in ("explained_variance", "fvu", "l0", "loss_recovered")}, "dead_share": float(cache.stats.dead.mean())},
        "images": len(recipe.catalogue()), "image_tokens": cache.stats.image_tokens, "text_tokens": cache.stats.text_tokens,
    }  # fmt: skip
    return DictionaryPart(about, cache, load_explanations(recipe.file("explanations", layer)), [], near, weights)


def make_bundle(recipe: Recipe) -> None:
    """Write the bundle, yet without scores, and check it as an importer would."""
    checkpoint, catalogue = recipe.load(), recipe.catalogue()
    folder = recipe.out / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    grid = checkpoint.grid
    model = {
        "id": MODEL_ID,
        "name": MODEL_NAME,
        "sha256": checkpoint.sha256,
        "image_size": checkpoint.image_size,
        "grid": {"rows": grid, "cols": grid},
    }
    made = {
        "command": f"python -m demo.recipe --seed {recipe.seed} --layers {' '.join(map(str, recipe.layers))}", "seed": recipe.seed, "versions": _versions(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }  # fmt: skip
    lead = Harvester(checkpoint, [recipe.layers[0]]).lead
    parts = [_part(recipe, checkpoint, layer) for layer in recipe.layers]
    write_bundle(folder, model, ATTRIBUTION, catalogue.bundle_images(), catalogue.texts(checkpoint, lead), parts, made)
    check_bundle(folder)


def make_manifest(recipe: Recipe) -> None:
    """List every artefact with its size and hash."""
    files, total = {}, 0
    for top in ("model", "dictionaries", "bundle", "results"):
        for path in sorted((recipe.out / top).rglob("*")):
            if path.is_file():
                path.chmod(0o644)
                total += path.stat().st_size
                files[path.relative_to(recipe.out).as_posix()] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    (recipe.out / "manifest.json").write_text(json.dumps({"format": "facet-demo/1", "bytes": total, "files": files}, indent=2) + "\n")
    print(f"{len(files)} artefacts, {total / 1e6:.1f} MB")


STAGES: dict[str, Callable[[Recipe], None]] = {
    "images": make_catalogue,
    "model": make_model,
    "dictionaries": make_dictionaries,
    "cache": make_cache,
    "describe": make_descriptions,
    "explain": make_explanations,
    "neighbours": make_neighbours,
    "onnx": make_onnx,
    "bundle": make_bundle,
    "own-words": make_own_words,
    "score": make_scores,
    "manifest": make_manifest,
}
