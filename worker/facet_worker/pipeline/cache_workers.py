"""Shards made by several processes at once: Ray Data gives each missing one to whichever worker is free, and starts a worker that died again.

A worker writes its shards into the run folder itself, so that on several machines the folder and the pictures must lie where all of them see them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facet_worker.errors import FacetError
from facet_worker.pipeline.pictures import Picture
from facet_worker.pipeline.run_folder import Step
from facet_worker.pipeline.settings import Settings
from facet_worker.serve.cluster.loopback import stay_on_this_machine

if TYPE_CHECKING:
    from facet_worker.pipeline.cache_step import CacheSection

RESTARTS = 5
"""How often a worker that died is started again, and its shard tried again, before the run ends."""

Batch = dict[str, Any]


class ShardWorker:
    """One process with the model on a device of its own."""

    def __init__(self, settings: Settings, step: Step, pictures: Sequence[Picture], ranges: Sequence[tuple[int, int]], device: str) -> None:
        from facet_worker.pipeline.cache_step import CacheSection, load_engine, shard_maker

        self.step, self.pictures, self.ranges = step, list(pictures), list(ranges)
        self.maker = shard_maker(load_engine(settings, device), settings.section("cache", CacheSection))

    def make(self, number: int) -> None:
        """Writes a shard."""
        from facet_worker.pipeline.cache_step import make_shard

        make_shard(self.step, number, self.maker, self.pictures, self.ranges[number])

    def __call__(self, batch: Batch) -> Batch:
        """Makes the one shard of `shard`; `failure` says what kept it from being made."""
        number, failure = int(batch["shard"][0]), ""
        try:
            self.make(number)
        except FacetError as error:
            failure = json.dumps([str(error), error.code, error.fix])
        return {"shard": np.array([number]), "failure": np.array([failure])}


def workers_of(section: CacheSection, devices: Sequence[str]) -> int:
    """How many processes work: as many as were asked for, else one a device."""
    return section.workers or len(devices)


def _visible(devices: Sequence[str]) -> None:
    """Ray numbers the GPUs that it sees; it is to see those that the file names."""
    numbers = [device.partition(":")[2] for device in devices]
    if all(number.isdecimal() for number in numbers) and "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(numbers)


def make_shards(
    settings: Settings, step: Step, pictures: Sequence[Picture], ranges: Sequence[tuple[int, int]], missing: Sequence[int],
    devices: Sequence[str], workers: int,
) -> Iterator[int]:  # fmt: skip
    """Has the missing shards made; their numbers as each is there, in no fixed order.

    Raises
    ------
    FacetError : `engine_unavailable` where Ray is not installed, does not start or has too few GPUs, `engine_failed` where workers died again and
        again, and what a shard's own making threw. What was made until then counts.
    """
    try:
        stay_on_this_machine()
        import ray
        import ray.data

        from facet_worker.serve.ray_app import start_ray
    except ImportError as error:
        raise FacetError(
            "Several workers take Ray, which is not installed.", "engine_unavailable", fix="Install facet-worker[ray], or name one device."
        ) from error
    on_gpu = devices[0].startswith("cuda")
    if on_gpu and not os.environ.get("RAY_ADDRESS"):
        _visible(devices)
    start_ray(workers)
    try:
        there = float(ray.cluster_resources().get("GPU", 0))
        if on_gpu and there < workers:
            raise FacetError(
                f"{workers} workers need a GPU each, and Ray sees {there:g}.", "engine_unavailable", fix="Lower `workers`, or add machines."
            )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        arguments = (settings, step, list(pictures), list(ranges), "cuda:0" if on_gpu else devices[0])
        made = ray.data.from_items([{"shard": number} for number in missing], override_num_blocks=len(missing)).map_batches(
            ShardWorker, batch_size=1, compute=ray.data.ActorPoolStrategy(size=min(workers, len(missing)), max_tasks_in_flight_per_actor=1),
            fn_constructor_args=arguments, num_gpus=1 if on_gpu else 0, num_cpus=1,
            ray_remote_args_fn=lambda: {"max_restarts": RESTARTS, "max_task_retries": RESTARTS},
        )  # fmt: skip
        try:
            for row in made.iter_rows():
                if row["failure"]:
                    said, code, fix = json.loads(row["failure"])
                    raise FacetError(said, code, fix=fix)
                yield int(row["shard"])
        except ray.exceptions.RayError as error:
            # Some errors of Ray say nothing.
            said = (str(error).strip() or type(error).__name__).splitlines()[-1][:300]
            raise FacetError(
                f"The workers ended: {said}", "engine_failed", fix="The same command goes on from the shards that are done."
            ) from error
    finally:
        ray.shutdown()
