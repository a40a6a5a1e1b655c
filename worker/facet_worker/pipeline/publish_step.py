"""`facet-worker publish`: what was cached, explained and scored as one bundle with a dataset card, ready for `facet import` or a hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.hashing import file_sha256
from facet_worker.pipeline.files import disk_errors, read_json, write_json
from facet_worker.pipeline.progress import Progress
from facet_worker.pipeline.run_folder import RunFolder, Step
from facet_worker.pipeline.settings import Section
from facet_worker.pipeline.steps import Context

NAME = "publish"


class PublishSection(Section):
    """`[publish]`: the card's `title` and `licence` (an SPDX name as hubs take it), and what a reader should know besides, `about`."""

    title: str | None = None
    licence: str | None = None
    about: str | None = None


SECTION = PublishSection


def _made(run: RunFolder, name: str) -> dict[str, Any] | None:
    """A step's manifest where it is finished; None where it was never begun. Throws `not_found` where it is under way."""
    return run.made(name).manifest if (run.folder / name / "manifest.json").is_file() else None


def _link(source: Path, target: Path) -> None:
    """The same file under another name where that is possible: nothing of a published bundle is written in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _take(part: Path, manifest: dict[str, Any], path: str, source: Path, wanted: str | None) -> None:
    """A step's own table in the place of the cache's empty one. Throws `not_found` where it is not the one that the step finished with."""
    import pyarrow.parquet as pq

    digest = file_sha256(source)
    if digest != wanted:
        step = source.parent.parent.name
        raise FacetError(f"{source} is not as the step left it.", "not_found", fix=f"Run `facet-worker {step}` again, which goes on.")
    (part / path).unlink()
    _link(source, part / path)
    rows = pq.ParquetFile(source).metadata.num_rows
    manifest["files"][path] = {"sha256": digest, "bytes": source.stat().st_size, "rows": rows}


def _trained(run: RunFolder, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By dictionary what training measured on held-out pictures, of those that were trained in this run: the weights' hashes tell."""
    from facet_worker.decoder import layer_of

    train = _made(run, "train")
    if train is None:
        return {}
    weights = {
        (PurePosixPath(path).parent.name, digest) for path, digest in train["files"].items() if path.endswith("safetensors")
    }  # fmt: skip
    by_layer = {layer_of(hook): found for hook, found in train["report"].items() if isinstance(found, dict)}
    return {
        entry["id"]: by_layer[entry["layer"]]
        for entry in manifest["dictionaries"]
        if (entry["id"], entry["sha256"]) in weights and entry["layer"] in by_layer
    }


def _measured(entry: dict[str, Any], found: dict[str, Any]) -> None:
    """Into the dictionary's metrics: what it explains and the loss that it recovers. How many fire and how many never do is the whole set's, which `cache` counted."""
    for name in ("explained_variance", "fvu", "loss_recovered"):
        if isinstance(found.get(name), (int, float)):
            entry["metrics"][name] = found[name]
    entry["held_out"] = found


def _same_explanations(run: RunFolder, source: Path, manifest: dict[str, Any], explained: bool) -> None:
    """Throws `invalid_request` for scores of other explanations than those that are published: the run's (`explained`), or those of the bundle at `source`."""
    scored = run.made("score").manifest["inputs"]
    for entry in manifest["dictionaries"]:
        own = run.folder / "explain" / entry["id"] / "explanations.parquet"
        shown = own if explained and own.is_file() else source / entry["folder"] / "explanations.parquet"
        wanted = scored.get(f"{entry['id']}/explanations")
        if wanted is not None and file_sha256(shown) != wanted:
            raise FacetError(
                f"The scores of {entry['id']} are of other explanations than the run has now.",
                "invalid_request",
                fix="Run `facet-worker score` again: what is said of unchanged explanations stays, and the others are scored.",
            )


def _row(entry: dict[str, Any], files: dict[str, Any]) -> str:
    k = f", k = {entry['k']}" if entry["k"] else ""
    explained = files[f"{entry['folder']}/explanations.parquet"]["rows"]
    metrics = entry["metrics"]
    known = [f"{metrics[name]:.3f}" if isinstance(metrics[name], float) else "" for name in ("explained_variance", "loss_recovered")]
    cells = [
        f"`{entry['id']}`",
        f"{entry['num_latents']:,}",
        f"{entry['activation']}{k}",
        f"{entry['images']:,}",
        f"{metrics['dead_share']:.1%}",
    ]
    return f"| {' | '.join([*cells, *known, f'{explained:,}'])} |"


TABLES = {
    "images": "every picture that an example shows, as a WebP copy, by the SHA-256 of its bytes",
    "texts": "every text that an example shows, as its tokens",
    "features": "one row a feature: how often and how strongly it fires, a histogram, whether it is dead, always on, or a sink",
    "activations": "where each feature fires on its examples: the pictures with the largest mean (`top`), quantiles, random ones, texts",
    "explanations": "what somebody says that a feature stands for, by whom, asked what, when; or why there is none",
    "scores": "how well an explanation fits, over how many, beside the same at random",
    "neighbours": "features that fire together (`coactive`) and that write alike (`decoder`)",
    "tokens": "the tokens that a feature writes, suppresses and reads",
}
"""By table's name what it holds."""


def _tables(files: dict[str, Any]) -> list[str]:
    rows: dict[str, int] = {}
    for path, file in files.items():
        rows[Path(path).stem] = rows.get(Path(path).stem, 0) + file["rows"]
    return [f"| `{name}.parquet` | {rows[name]:,} | {holds} |" for name, holds in TABLES.items() if name in rows]


def card(manifest: dict[str, Any], section: PublishSection) -> str:
    """A dataset card: configurations by which `datasets` finds every table, and what the tables hold."""
    model, names = manifest["model"], [entry["folder"] for entry in manifest["dictionaries"]]
    title = section.title or f"Features of {model['name']}"
    head = [
        "---",
        *([f"license: {section.licence}"] if section.licence else []),
        "tags:",
        "- sparse-autoencoder",
        "- interpretability",
        "configs:",
    ]
    for path in manifest["files"]:
        head += [f"- config_name: {Path(path).with_suffix('').as_posix().replace('/', '-')}", f"  data_files: {path}"]
    rows = [_row(entry, manifest["files"]) for entry in manifest["dictionaries"]]
    body = [
        "---", "", f"# {title}", "", *([section.about, ""] if section.about else []),
        f"Sparse autoencoder features of `{model['id']}` (weights {model['sha256'][:12]}…), found by Facet.", "",
        "| dictionary | features | activation | pictures | never fire | explained variance | loss recovered | explanations |",
        "|---|---|---|---|---|---|---|---|", *rows, "",
        "| table | rows | holds |", "|---|---|---|", *_tables(manifest["files"]), "",
        "Maps are two binary columns: `positions` (little-endian uint16, row by row in a grid of `rows` × `cols`) and `values` (little-endian float16).", "",
        "```python", "import numpy as np, pandas as pd",
        f'row = pd.read_parquet("{names[0]}/activations.parquet").iloc[0]',
        "grid = np.zeros(row.rows * row.cols, np.float16)",
        'grid[np.frombuffer(row.positions, "<u2")] = np.frombuffer(row["values"], "<f2")', "```", "",
        "`npm run facet -- import FOLDER` opens it in Facet.", "", *([manifest["attribution"], ""] if manifest["attribution"] else []),
    ]  # fmt: skip
    return "\n".join([*head, *body])


def _swap(part: Path, target: Path, old: Path) -> None:
    """The new bundle in the place of the old one, which is there until the new one is whole."""
    if target.is_dir():
        target.replace(old)
    part.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _recovered(target: Path, old: Path) -> None:
    """After a process that was killed between the two renames."""
    if old.is_dir() and not target.is_dir():
        old.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _stands(step: Step, target: Path) -> bool:
    """Whether the bundle that is there is the finished step's own."""
    wanted = step.manifest["files"].get(f"{target.name}/manifest.json")
    return (target / "manifest.json").is_file() and file_sha256(target / "manifest.json") == wanted


def run(context: Context) -> dict[str, Any]:
    """See `facet_worker.pipeline.steps`. The bundle is `bundle` in the step's folder; where the steps before it made something else since, it is made anew.

    Raises
    ------
    FacetError : `not_found` before `cache` is finished and while another step is under way, `invalid_request` for scores of other explanations.
    """
    section, folder = context.settings.section(NAME, PublishSection), context.run
    source = folder.made("cache").folder / "bundle"
    manifest = read_json(source / "manifest.json")
    steps = {name: made for name in ("explain", "score") if (made := _made(folder, name))}
    trained = _trained(folder, manifest)
    if "score" in steps:
        _same_explanations(folder, source, manifest, "explain" in steps)
    inputs = {name: folder.fingerprint(name) for name in ("cache", *steps)}
    if trained:
        inputs["train"] = hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()
    step = folder.step(NAME, section.compared(), inputs, context.settings.shared.seed, renewed=("train", "cache", "explain", "score"))
    part, target, old = _places(step)
    _recovered(target, old)
    if step.finished and _stands(step, target):
        return step.manifest
    shutil.rmtree(part, ignore_errors=True)
    # Every file is taken and read once, and two are written.
    bar = Progress("publish", " files", 2 * len(manifest["files"]) + 2)
    try:
        return _publish(context, section, step, manifest, steps, trained, bar)
    finally:
        bar.close()
        shutil.rmtree(part, ignore_errors=True)


def _publish(
    context: Context,
    section: PublishSection,
    step: Step,
    manifest: dict[str, Any],
    steps: dict[str, Any],
    trained: dict[str, Any],
    bar: Progress,
) -> dict[str, Any]:
    folder = context.run
    source = folder.made("cache").folder / "bundle"
    part, target, old = _places(step)
    with disk_errors(target):
        for path in manifest["files"]:
            _link(source / path, part / path)
            bar.advance()
        for name, table in (("explain", "explanations"), ("score", "scores")):
            for entry in manifest["dictionaries"]:
                made = folder.folder / name / entry["id"] / f"{table}.parquet"
                if name in steps and made.is_file():
                    wanted = steps[name]["files"].get(f"{entry['id']}/{table}.parquet")
                    _take(part, manifest, f"{entry['folder']}/{table}.parquet", made, wanted)
        for entry in manifest["dictionaries"]:
            if entry["id"] in trained:
                _measured(entry, trained[entry["id"]])
        write_json(part / "manifest.json", manifest)
        (part / "README.md").write_text(card(manifest, section), "utf-8")
        _swap(part, target, old)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    report = {"bundle": str(target.relative_to(folder.folder)), "bytes": sum(path.stat().st_size for path in files)}
    return step.finish(report, files, bar.advance)


def _places(step: Step) -> tuple[Path, Path, Path]:
    """Of the bundle that is being made, of the finished one, and of the one before it."""
    return step.folder / ".bundle.part", step.folder / "bundle", step.folder / ".bundle.old"
