"""The step `train`: dictionaries of some blocks from an image set, measured on pictures that they did not see."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from facet_worker.decoder import layer_of
from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary, save_dictionary
from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.loading import LoadedModel, load_model
from facet_worker.pipeline.files import disk_errors, read_json, write_json
from facet_worker.pipeline.pictures import Picture, pixels_of, read_set, set_sha256
from facet_worker.pipeline.progress import Progress as Bar
from facet_worker.pipeline.settings import Settings, read_settings
from facet_worker.pipeline.steps import Context, sections
from facet_worker.pipeline.troubles import Troubles
from facet_worker.sae import TopKSae
from facet_worker.training.held_out import held_out
from facet_worker.training.model_source import Example, ModelSource
from facet_worker.training.section import TrainSection
from facet_worker.training.settings import TrainSettings
from facet_worker.training.trainer import Progress, Trainer, processes

NAME = "train"
LEARNED = "learned.json"
"""Beside the checkpoints: what only the processes that learned know."""


def _pixels(picture: Picture) -> Pixels:
    return pixels_of(picture.read())


def _examples(pictures: list[Picture]) -> list[Example]:
    return [Example(picture.name, partial(_pixels, picture), picture.text) for picture in pictures]


def _pictures(settings: Settings, section: TrainSection, troubles: Troubles) -> tuple[list[Picture], list[Picture]]:
    """Those that are learned from, and those that are not."""
    found = read_set(settings.images, settings.path(settings.images.path), troubles)
    if len(found) < 2 * section.held_out:
        raise FacetError(
            f"Of {len(found)} pictures {section.held_out} would be held out, which leaves too few to learn from.",
            "invalid_request",
            fix="Give more pictures, or lower `held_out`.",
        )
    return found[: -section.held_out], found[-section.held_out :]


def _numbers(section: TrainSection, seed: int) -> TrainSettings:
    told = section.model_dump(exclude={"hooks", "held_out", "together", "save_every", "prefixes"})
    return TrainSettings(**told, prefixes=tuple(section.prefixes), seed=seed)


def _learn(file: str, folder: str, device: str | None) -> None:
    """One process's part; each reads the pipeline's file again, which its parent has checked."""
    settings = read_settings(Path(file), sections())
    section = settings.section(NAME, TrainSection)
    with processes() as (rank, world):
        devices = settings.shared.model.devices
        own = device or (devices[rank] if devices else "cpu")
        loaded = load_model(*_place(settings), own, settings.shared.model.dtype)
        learned, _ = _pictures(settings, section, Troubles())
        source = ModelSource(
            loaded.model, loaded.processor, section.hooks, _examples(learned), section.tokens, settings.shared.seed, section.together
        )
        trainer = Trainer(_numbers(section, settings.shared.seed), source, section.hooks, Path(folder), rank, world)
        bar = Bar("train", " steps", section.steps, trainer.step) if rank == 0 else None

        def tell(progress: Progress) -> None:
            if bar is None:
                return
            bar.advance(progress.step - told[0])
            told[0] = progress.step
            scores = zip(section.hooks, progress.fvu, progress.l0, progress.dead, strict=True)
            bar.note(", ".join(f"{hook} FVU {fvu:.4f} L0 {l0:.0f} dead {dead:.1%}" for hook, fvu, l0, dead in scores))

        told = [trainer.step]
        try:
            trainer.run(section.save_every, tell, max(1, min(50, section.steps // 20)))
        finally:
            if bar is not None:
                bar.close()
        write_json(Path(folder) / f"causes-{rank}.json", dict(source.causes))
        if rank == 0:
            dead = {hook: learner.dead_share for hook, learner in zip(section.hooks, trainer.learners, strict=True)}
            write_json(Path(folder) / LEARNED, {"seconds": round(trainer.seconds, 1), "dead_share": dead})
            for hook, learner in zip(section.hooks, trainer.learners, strict=True):
                dictionaries = Path(folder).parent / "dictionaries"
                with disk_errors(dictionaries / hook):
                    _save(learner.dictionary(), hook, dictionaries)


def _learn_told(file: str, folder: str) -> None:
    """`_learn` as one of several processes, of whose errors a launcher only says that there were some; this leaves beside the checkpoints what it was."""
    try:
        _learn(file, folder, None)
    except FacetError as error:
        # A disk that is full holds no report of it either; the launcher's own words remain.
        with suppress(FacetError):
            write_json(Path(folder) / f"failure-{os.environ.get('RANK', '0')}.json", [str(error), error.code, error.fix])
        raise


def _save(dictionary: Dictionary, hook: str, folder: Path) -> None:
    """TopK in the paper's layout, which every tool reads; others in this package's own."""
    place = folder / f"model.layers.{layer_of(hook)}"
    if dictionary.activation == "topk" and dictionary.k is not None:
        sae = TopKSae(dictionary.w_enc.cpu(), dictionary.b_enc.cpu(), dictionary.w_dec.cpu(), dictionary.b_dec.cpu(), dictionary.k)
        sae.save(place)
        return
    dictionary.hook = f"model.layers.{layer_of(hook)}"
    save_dictionary(dictionary, place)


def _place(settings: Settings) -> tuple[str | Path, str | None]:
    model = settings.shared.model
    named = settings.path(model.path)
    return (named if named.is_dir() else model.path), model.revision


def _launch(settings: Settings, folder: Path) -> None:
    """In this process, or with several devices in one process each, as torchrun starts them."""
    devices = settings.shared.model.devices or ["cuda" if torch.cuda.is_available() else "cpu"]
    arguments = (str(settings.file), str(folder))
    if len(devices) == 1:
        _learn(*arguments, devices[0])
        return
    for file in folder.glob("failure-*.json"):
        file.unlink()
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=len(devices), run_id="facet-train", rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0", max_restarts=0,
    )  # fmt: skip
    try:
        elastic_launch(config, _learn_told)(*arguments)
    except Exception as error:
        for file in sorted(folder.glob("failure-*.json")):
            said, code, fix = read_json(file)
            raise FacetError(said, code, fix=fix) from error
        raise FacetError(
            f"A process of the training ended: {error}.",
            "engine_failed",
            fix="Look above for its cause; the same command goes on from the last checkpoint.",
        ) from error


def train(context: Context, section: TrainSection) -> dict[str, Any]:
    """Does the step or goes on with it. The manifest's report has each hook's numbers on the pictures that were held out.

    Raises
    ------
    FacetError : what reading pictures or the model throws; `invalid_request` for settings that do not fit; `engine_failed` for a loss that is no number.
    """
    settings = context.settings
    numbers = _numbers(section, settings.shared.seed)
    troubles = Troubles()
    learned, kept = _pictures(settings, section, troubles)
    loaded = load_model(*_place(settings), "cpu", settings.shared.model.dtype)
    configuration = {
        **section.compared("save_every"),
        "dtype": settings.shared.model.dtype,
        "processes": len(settings.shared.model.devices or [""]),
    }
    inputs = {"model": loaded.sha256, "images": set_sha256(learned), "held_out": set_sha256(kept)}
    step = context.run.step(NAME, configuration, inputs, settings.shared.seed)
    checkpoints = step.folder / "checkpoints"
    if step.finished:
        _forget(checkpoints)
        return step.manifest
    step.troubles.take(troubles)
    _launch(settings, checkpoints)
    for file in sorted(checkpoints.glob("causes-*.json")):
        for cause, times in json.loads(file.read_text()).items():
            step.troubles.add(cause.removesuffix("."), times=times)
    report, unread = _measured(loaded, settings, section, step.folder / "dictionaries", kept)
    for cause, times in unread.items():
        step.troubles.add(cause.removesuffix("."), times=times)
    learned_of = json.loads((checkpoints / LEARNED).read_text())
    for hook, share in learned_of["dead_share"].items():
        report[hook]["dead_share"] = share
    report["tokens"] = numbers.steps * numbers.batch
    report["seconds_learning"] = learned_of["seconds"]
    files = sorted(file for file in (step.folder / "dictionaries").rglob("*") if file.is_file())
    manifest = step.finish(report, files)
    _forget(checkpoints)
    return manifest


def _forget(checkpoints: Path) -> None:
    """They are several times the dictionaries' size, and nothing goes on from them."""
    for file in checkpoints.iterdir() if checkpoints.is_dir() else ():
        file.unlink()


def _measured(
    loaded: LoadedModel, settings: Settings, section: TrainSection, folder: Path, kept: list[Picture]
) -> tuple[dict[str, Any], Mapping[str, int]]:
    """Each hook's numbers, and what kept pictures from being read. Where the file's first device is: a large model takes hours for it on a processor."""
    device = (settings.shared.model.devices or ["cuda" if torch.cuda.is_available() else "cpu"])[0]
    loaded.model.to(device)
    source = ModelSource(loaded.model, loaded.processor, section.hooks, _examples(kept), section.tokens, settings.shared.seed)
    dictionaries = [load_dictionary(folder / f"model.layers.{layer_of(hook)}").to(device, torch.float32) for hook in section.hooks]
    measured = held_out(source, dictionaries, source.examples, section.together)
    return dict(zip(section.hooks, measured, strict=True)), source.causes
