"""Dictionaries at several hooks learning from one stream, with checkpoints that a killed run goes on from as if nothing had happened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from facet_worker.errors import FacetError
from facet_worker.pipeline.files import written
from facet_worker.training.checkpoint_file import save_state
from facet_worker.training.learner import Learner
from facet_worker.training.settings import TrainSettings
from facet_worker.training.stream import Source, Stream

SAMPLE = 4096


@dataclass(frozen=True)
class Progress:
    """After a step: how far it is, and how each hook's dictionary does on the step's own batch.

    Attributes
    ----------
    rate : tokens a second since the run began or went on
    left_s : seconds left at that rate
    fvu, l0, dead : by hook, in the order of the hooks
    """

    step: int
    steps: int
    rate: float
    left_s: float
    fvu: list[float]
    l0: list[float]
    dead: list[float]

    def __str__(self) -> str:
        scores = "  ".join(f"fvu {f:.4f} l0 {n:.0f} dead {d:.1%}" for f, n, d in zip(self.fvu, self.l0, self.dead, strict=True))
        return f"step {self.step}/{self.steps}  {self.rate:,.0f} tokens/s  {self.left_s / 60:.0f} min left  {scores}"


@contextmanager
def processes() -> Any:
    """Joins the processes that torchrun started, or is alone: (rank, how many)."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield 0, 1
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


class Trainer:
    """Learns from a source until the settings' steps are done.

    Parameters
    ----------
    hooks : names of the source's hooks, in the order of its states
    folder : where checkpoints lie, one file a process; a run goes on from them

    Attributes
    ----------
    seconds : spent learning until the last checkpoint, over all runs that went on from one another
    """

    def __init__(self, settings: TrainSettings, source: Source, hooks: Sequence[str], folder: Path, rank: int = 0, world: int = 1) -> None:
        if settings.batch % world:
            raise FacetError(f"A batch of {settings.batch} tokens cannot be shared by {world} processes.", "invalid_request")
        self.settings, self.hooks, self.folder, self.rank, self.world = settings, list(hooks), folder, rank, world
        self.stream = Stream(source, max(settings.buffer // world, 2 * settings.batch // world), settings.seed, rank, world)
        sample = self._sample()
        self.learners = [Learner(settings, sample[:, hook]) for hook in range(len(self.hooks))]
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _sample(self) -> torch.Tensor:
        """The first process's own sample, in all of them."""
        sample = self.stream.sample(SAMPLE).clone()
        if self.world > 1:
            size = torch.tensor(len(sample), device=sample.device)
            dist.broadcast(size, 0)
            if len(sample) != int(size):
                sample = sample.new_empty(int(size), *sample.shape[1:])
            dist.broadcast(sample, 0)
        return sample

    @property
    def _file(self) -> Path:
        return self.folder / f"checkpoint-{self.rank}-of-{self.world}.pt"

    @property
    def _previous(self) -> Path:
        """Of several processes: there from before a checkpoint is written until all have written theirs, as some may be killed in between."""
        return self._file.with_suffix(".previous.pt")

    def _resume(self) -> None:
        states = [_read(file) for file in (self._file, self._previous) if file.exists()]
        told = {**asdict(self.settings), "hooks": self.hooks}
        for name, value in (pair for state in states for pair in state["settings"].items()):
            if _plain(told.get(name)) != value:
                raise FacetError(
                    f"The checkpoint in {self.folder.name!r} is of another training: {name} is {told.get(name)!r}, was {value!r}.",
                    "invalid_request",
                    fix="Train into another folder, or with the settings of this one.",
                )
        by_step = {state["step"]: state for state in states}
        last = self._common([*by_step, 0])
        if not last:
            return
        state = by_step[last]
        self.step, self.seconds = last, float(state.get("seconds", 0))
        self.stream.restore(state["stream"])
        for learner, part in zip(self.learners, state["learners"], strict=True):
            learner.restore(part)

    def _common(self, steps: list[int]) -> int:
        """The last of the steps that every process has."""
        if self.world == 1:
            return max(steps)
        own = torch.tensor((steps * 3)[:3], device=self.learners[0].idle.device)
        found = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(found, own)
        return max(set.intersection(*(set(one.tolist()) for one in found)))

    def save(self) -> None:
        """Writes a checkpoint of this process, whole or not at all. Throws `disk_full`. Every process writes its own; the weights are the same in all."""
        told = {name: _plain(value) for name, value in {**asdict(self.settings), "hooks": self.hooks}.items()}
        learners = [learner.state() for learner in self.learners]
        state = {"settings": told, "step": self.step, "seconds": self.seconds, "stream": self.stream.state(), "learners": learners}
        if self.world > 1 and self._file.exists():
            self._file.replace(self._previous)
        with written(self._file) as part:
            save_state(state, part)
        if self.world > 1:
            self._common([self.step])
            self._previous.unlink(missing_ok=True)

    def run(self, save_every: int = 500, tell: Callable[[Progress], None] = lambda _: None, tell_every: int = 50) -> None:
        """All steps that are left. Throws `engine_failed` on a loss that is no number; the last checkpoint is from before it."""
        s = self.settings
        begun, first, before = time.monotonic(), self.step, self.seconds
        while self.step < s.steps:
            batch = self.stream.batch(s.batch // self.world)
            found = [learner.step(batch[:, hook], self.step, s.batch) for hook, learner in enumerate(self.learners)]
            self.step += 1
            if self.step % save_every == 0 or self.step == s.steps:
                self.seconds = before + time.monotonic() - begun
                self.save()
            if self.step % tell_every == 0 or self.step == s.steps:
                rate = (self.step - first) * s.batch / max(time.monotonic() - begun, 1e-9)
                tell(
                    Progress(
                        self.step,
                        s.steps,
                        rate,
                        (s.steps - self.step) * s.batch / rate,
                        [float(one.fvu) for one in found],
                        [one.l0 for one in found],
                        [learner.dead_share for learner in self.learners],
                    )
                )


def _read(file: Path) -> dict[str, Any]:
    try:
        # Wherever it was written: what is restored from it goes to the device that is used now.
        return dict(torch.load(file, weights_only=True, map_location="cpu"))
    except Exception as error:  # whatever a damaged file makes of the reader
        raise FacetError(
            f"The checkpoint {file.name} cannot be read: {error}.", "file_invalid", fix="Delete it to train from the beginning."
        ) from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
