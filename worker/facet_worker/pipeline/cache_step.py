"""`facet-worker cache`: one pass over an image set, in shards, and from all of them what explorers and explainers read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from facet_worker.errors import FacetError
from facet_worker.pipeline.pictures import Picture, read_set, set_sha256
from facet_worker.pipeline.progress import Progress
from facet_worker.pipeline.run_folder import Step
from facet_worker.pipeline.settings import Count, Positive, Section, Settings
from facet_worker.pipeline.steps import Context
from facet_worker.pipeline.troubles import Troubles

if TYPE_CHECKING:
    from facet_worker.cache import FeatureCache
    from facet_worker.feature_state import FeatureState, Keep
    from facet_worker.pipeline.cache_shards import ShardMaker
    from facet_worker.torch_engine import TorchEngine

NAME = "cache"


class CacheSection(Section):
    """`[cache]`.

    Attributes
    ----------
    top, band, random, text : how many examples of each kind a feature keeps
    sample : on how many random pictures on which it fires the bands are drawn from
    tokens : on how many random tokens co-activation is counted
    prompt : words behind every picture; what is said of it ([images] `captions`) follows
    shard : pictures in a shard; batch : pictures through the model together
    side, quality : of the WebP copies in the bundle: at most so many pixels on the longer side
    workers : processes that make shards side by side, each with the model on a device of its own; left out, one for each of [model] `devices`
    paper_layout : also write every activation on pictures as the paper's tools do, under `activations/<hook>/`
    """

    top: Positive = 5
    band: Positive = 3
    random: Count = 5
    text: Positive = 5
    sample: Positive = 32
    tokens: Count = 65_536
    prompt: str = ""
    shard: Positive = 512
    batch: Positive = 8
    workers: Positive | None = None
    side: Positive = 512
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    paper_layout: bool = False

    def keep(self) -> Keep:
        from facet_worker.feature_state import Keep

        return Keep(self.top, self.band, self.random, self.text, self.sample, self.tokens)


SECTION = CacheSection


def devices_of(settings: Settings) -> list[str]:
    """Those that the file names, else the one that there is."""
    import torch

    return settings.shared.model.devices or ["cuda" if torch.cuda.is_available() else "cpu"]


def load_engine(settings: Settings, device: str | None = None) -> TorchEngine:
    """The studied model with its dictionaries, each held against the model's own states."""
    from facet_worker.torch_engine import TorchEngine

    model = settings.shared.model
    named = settings.path(model.path)
    devices = devices_of(settings)
    engine = TorchEngine.load(
        named if named.is_dir() else model.path, settings.dictionaries(), model.revision, device or devices[0], model.dtype, model.id,
        model.unchecked_dictionary,
    )  # fmt: skip
    engine.name = model.name or engine.name
    return engine


def _inputs(engine: TorchEngine, pictures: list[Picture]) -> dict[str, str]:
    dictionaries = {f"dictionary {served.hook}": served.sae.sha256 for served in engine.served.values()}
    return {"model": engine.sha256, **dictionaries, "images": set_sha256(pictures)}


def shard_ranges(total: int, size: int) -> list[tuple[int, int]]:
    """First and end of each shard."""
    return [(first, min(first + size, total)) for first in range(0, total, size)]


def shard_maker(engine: TorchEngine, section: CacheSection) -> ShardMaker:
    from facet_worker.pipeline.cache_shards import ShardMaker

    return ShardMaker(engine, section.keep(), section.prompt, section.batch, section.paper_layout)


def make_shard(step: Step, number: int, maker: ShardMaker, pictures: list[Picture], bounds: tuple[int, int]) -> Mapping[str, Any]:
    """Puts the pictures between the bounds through the model and writes what came of them; answers the shard's record."""
    from facet_worker.pipeline.cache_shards import save_state, save_texts
    from facet_worker.pipeline.paper_layout import save_sorted

    shard = maker.make(pictures[slice(*bounds)], bounds[0])

    def saver(state: FeatureState) -> Any:
        return lambda path: save_state(state, path)

    files = {f"{hook}.safetensors": saver(state) for hook, state in shard.states.items()}
    if maker.every:
        files |= {
            f"{hook}.every.safetensors": partial(save_sorted, shard.every.get(hook, []), s.latents) for hook, s in shard.states.items()
        }
    facts = {"first": bounds[0], "end": bounds[1], "read": next(iter(shard.states.values())).items}
    return step.save_shard(
        number, {**files, "texts.jsonl": lambda path: save_texts(shard.texts, path)}, seconds=shard.seconds, troubles=shard.troubles, facts=facts
    )  # fmt: skip


def _shards(
    settings: Settings, section: CacheSection, step: Step, engine: TorchEngine, pictures: list[Picture], ranges: list[tuple[int, int]]
) -> list[Mapping[str, Any]]:
    """Makes every shard that is missing, here or with several workers; answers all records in order."""
    from facet_worker.pipeline import cache_workers

    there = step.shards(len(ranges))
    missing = [number for number in range(len(ranges)) if number not in there]
    progress = Progress("cache", " pictures", len(pictures), sum(ranges[number][1] - ranges[number][0] for number in there))
    devices = devices_of(settings)
    workers = cache_workers.workers_of(section, devices)
    maker = shard_maker(engine, section)

    def make(number: int) -> Mapping[str, Any]:
        record = make_shard(step, number, maker, pictures, ranges[number])
        progress.advance(ranges[number][1] - ranges[number][0])
        return record

    try:
        if workers == 1 or len(missing) < 2:
            return step.run_shards(len(ranges), make)
        with _aside(engine):
            for number in cache_workers.make_shards(settings, step, pictures, ranges, missing, devices, workers):
                progress.advance(ranges[number][1] - ranges[number][0])
        return step.run_shards(len(ranges), make)
    finally:
        progress.close()


@contextmanager
def _aside(engine: TorchEngine) -> Iterator[None]:
    """This process's copy of the model makes room on the device for a worker's; the dictionaries come back, the model need not."""
    places = {hook: (served.sae.w_dec.device, served.sae.w_dec.dtype) for hook, served in engine.served.items()}
    engine.hooked.model.to("cpu")
    for served in engine.served.values():
        served.sae.to("cpu", served.sae.w_dec.dtype)
    try:
        yield
    finally:
        for hook, served in engine.served.items():
            served.sae.to(*places[hook])


def merged(step: Step, hook: str, shards: int, progress: Progress) -> FeatureState:
    """The states of all shards of a hook added up; two are in memory at a time."""
    from facet_worker.pipeline.cache_shards import load_state

    total = load_state(step.shard_file(0, f"{hook}.safetensors"))
    for number in range(1, shards):
        progress.advance()
        total.merge(load_state(step.shard_file(number, f"{hook}.safetensors")))
    progress.advance()
    return total


def _report(cache: FeatureCache, read: int) -> dict[str, Any]:
    stats = cache.stats
    return {
        "pictures": read, "features": len(stats.dead), "image_tokens": stats.image_tokens, "text_tokens": stats.text_tokens,
        "never_fired": int(stats.dead.sum()), "always_on": int(stats.always_on.sum()), "sinks": int(stats.sink.sum()),
    }  # fmt: skip


def run(context: Context) -> dict[str, Any]:
    """See `facet_worker.pipeline.steps`. `bundle` in the step's folder is what the steps after it read; the report has a hook's numbers under its name."""
    from facet_worker.cache import finished
    from facet_worker.pipeline.cache_bundle import CacheBundle, Found, neighbours
    from facet_worker.pipeline.cache_shards import load_texts
    from facet_worker.pipeline.paper_layout import write_files
    from facet_worker.pipeline.vocabulary import token_table

    settings, section = context.settings, context.settings.section(NAME, CacheSection)
    troubles = Troubles()
    pictures = read_set(settings.images, settings.path(settings.images.path), troubles)
    engine = load_engine(settings)
    configuration = {**section.compared("workers"), "dtype": settings.shared.model.dtype, "model": engine.model_id}
    step = context.run.step(NAME, configuration, _inputs(engine, pictures), settings.shared.seed)
    if step.finished:
        return step.manifest
    step.troubles.take(troubles)
    ranges = shard_ranges(len(pictures), section.shard)
    records = _shards(settings, section, step, engine, pictures, ranges)
    read = sum(int(record["facts"]["read"]) for record in records)
    if not read:
        raise FacetError("No picture of the set could be read.", "file_invalid", fix=" ".join(_all_troubles(step, records).lines()))
    texts: dict[int, list[int]] = {}
    for number in range(len(ranges)):
        texts |= load_texts(step.shard_file(number, "texts.jsonl"))
    report: dict[str, Any] = {"pictures": read}
    found: dict[str, Found] = {}
    adding = Progress("cache states", " shards", len(ranges) * len(engine.served))
    for hook, served in engine.served.items():
        state = merged(step, served.hook, len(ranges), adding)
        cache = finished(state)
        alive = ~cache.stats.dead
        tokens = token_table(engine.hooked.model, engine.prompter.codec, served.sae, alive)
        found[hook] = Found(served, cache, neighbours(state, served.sae, alive), tokens)
        report[served.hook] = _report(cache, read)
    adding.close()
    bundle = CacheBundle(engine, settings.images.attribution, pictures, texts, section.side, section.quality)
    command = {"command": f"facet-worker cache {settings.file.name}", "seed": settings.shared.seed}
    files = bundle.write(step.folder / "bundle", list(found.values()), command)
    if section.paper_layout:
        for served in engine.served.values():
            every = [step.shard_file(number, f"{served.hook}.every.safetensors") for number in range(len(ranges))]
            files += write_files(every, served.sae.num_latents, step.folder / "activations" / served.hook)
    return step.finish(report, files)


def _all_troubles(step: Step, records: list[Mapping[str, Any]]) -> Troubles:
    total = Troubles()
    for record in records:
        total.take(Troubles.of_json(record["troubles"]))
    total.take(step.troubles)
    return total
