"""`facet-worker publish`: what was cached, explained and scored as one bundle with a dataset card, ready for `facet import` or a hub."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from facet_worker.pipeline.files import disk_errors, read_json, write_json
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import Section
from facet_worker.pipeline.steps import Context

NAME = "publish"


class PublishSection(Section):
    """`[publish]`: the card's `title` and `licence` (an SPDX name as hubs take it), and what a reader should know besides, `about`."""

    title: str | None = None
    licence: str | None = None
    about: str | None = None


SECTION = PublishSection


def _made(run: RunFolder, name: str) -> Path | None:
    """A step's folder where it is finished; None where it was never begun. Throws `not_found` where it is under way."""
    return run.made(name).folder if (run.folder / name / "manifest.json").is_file() else None


def _link(source: Path, target: Path) -> None:
    """The same file under another name where that is possible: nothing of a published bundle is written in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _take(part: Path, manifest: dict[str, Any], path: str, source: Path) -> None:
    import pyarrow.parquet as pq

    from facet_worker.hashing import file_sha256

    (part / path).unlink()
    _link(source, part / path)
    rows = pq.ParquetFile(source).metadata.num_rows
    manifest["files"][path] = {"sha256": file_sha256(source), "bytes": source.stat().st_size, "rows": rows}


def _measured(run: RunFolder, manifest: dict[str, Any]) -> None:
    """What training measured on held-out data, into the dictionaries' metrics."""
    train = _made(run, "train")
    report = run.made("train").report if train else {}
    for entry in manifest["dictionaries"]:
        found = report.get(entry["id"]) or report.get("dictionaries", {}).get(entry["id"]) or {}
        metrics = {**found, **found.get("metrics", {})} if isinstance(found, dict) else {}
        for name in ("explained_variance", "fvu", "loss_recovered"):
            if isinstance(metrics.get(name), (int, float)):
                entry["metrics"][name] = metrics[name]


def _row(entry: dict[str, Any], files: dict[str, Any]) -> str:
    k = f", k = {entry['k']}" if entry["k"] else ""
    explained = files[f"{entry['folder']}/explanations.parquet"]["rows"]
    share = entry["metrics"]["dead_share"]
    return f"| `{entry['id']}` | {entry['num_latents']:,} | {entry['activation']}{k} | {entry['images']:,} | {share:.1%} | {explained:,} |"


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
        "| dictionary | features | activation | pictures | never fire | explanations |", "|---|---|---|---|---|---|", *rows, "",
        "Maps are two binary columns: `positions` (little-endian uint16, row by row in a grid of `rows` × `cols`) and `values` (little-endian float16).", "",
        "```python", "import numpy as np, pandas as pd",
        f'row = pd.read_parquet("{names[0]}/activations.parquet").iloc[0]',
        "grid = np.zeros(row.rows * row.cols, np.float16)",
        'grid[np.frombuffer(row.positions, "<u2")] = np.frombuffer(row["values"], "<f2")', "```", "",
        "`npm run facet -- import FOLDER` opens it in Facet.", "", *([manifest["attribution"], ""] if manifest["attribution"] else []),
    ]  # fmt: skip
    return "\n".join([*head, *body])


def run(context: Context) -> dict[str, Any]:
    """See `facet_worker.pipeline.steps`. The bundle is `bundle` in the step's folder. Throws `not_found` before `cache` is finished."""
    section, folder = context.settings.section(NAME, PublishSection), context.run
    source = folder.made("cache").folder / "bundle"
    steps = [name for name in ("explain", "score") if _made(folder, name)]
    inputs = {name: folder.fingerprint(name) for name in ("cache", *steps)}
    step = folder.step(NAME, section.compared(), inputs, context.settings.shared.seed)
    if step.finished:
        return step.manifest
    part, target = step.folder / ".bundle.part", step.folder / "bundle"
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    manifest = read_json(source / "manifest.json")
    with disk_errors(target):
        for path in manifest["files"]:
            _link(source / path, part / path)
        for name, table in (("explain", "explanations"), ("score", "scores")):
            for entry in manifest["dictionaries"]:
                made = folder.folder / name / entry["id"] / f"{table}.parquet"
                if name in steps and made.is_file():
                    _take(part, manifest, f"{entry['folder']}/{table}.parquet", made)
        _measured(folder, manifest)
        write_json(part / "manifest.json", manifest)
        (part / "README.md").write_text(card(manifest, section), "utf-8")
        part.replace(target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    report = {"bundle": str(target.relative_to(folder.folder)), "bytes": sum(path.stat().st_size for path in files)}
    return step.finish(report, files)
