"""Requests under way: what each tells, from its first event to its last, while the rows of all go through the model as one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facet_worker.arms import ArmRun
from facet_worker.batch import Batch, Served
from facet_worker.engine import Pixels, Tap
from facet_worker.errors import FacetError
from facet_worker.hooked_model import HookedModel
from facet_worker.prompting import Prompt, image_hashes

Told = tuple[int, dict[str, Any] | FacetError]
"""Which request, and its event; an error is its last."""


@dataclass(frozen=True)
class Asked:
    """One of several requests, as `Engine.generate` takes it."""

    request: dict[str, Any]
    images: Sequence[Pixels]
    units: Mapping[int, float] = field(default_factory=dict)
    cancelled: Callable[[], bool] = lambda: False
    tap: Tap | None = None


@dataclass
class Job:
    """One request, planned. `frame`: what its receipts say of model, dictionary and engine."""

    request: dict[str, Any]
    served: Served
    prompt: Prompt
    runs: list[ArmRun]
    watch: list[dict[str, Any]]
    cancelled: Callable[[], bool]
    frame: dict[str, Any]
    begun: bool = False

    def __post_init__(self) -> None:
        self.open = list(self.runs)
        self.frame = {**self.frame, "prompt": {"text": self.prompt.text, "images": image_hashes(self.request["messages"])}}

    def meta(self) -> dict[str, Any]:
        """The first event."""
        prompt, in_image = self.prompt, int(self.prompt.layout.image.sum())
        told = {"text": prompt.text, "imageTokens": in_image, "textTokens": prompt.layout.length - in_image, "unknown": prompt.unknown}
        meta = {"type": "meta", "arms": [run.arm for run in self.runs], "prompt": told, "engine": self.frame["engine"]}
        return {**meta, "watch": self.watch} if "watch" in self.request else meta

    def stop(self) -> None:
        """Ends every open arm as cancelled."""
        for run in self.open:
            run.finish = run.finish or "cancelled"

    def ended(self) -> Iterator[dict[str, Any]]:
        """Receipts of the arms that ended since this was asked last, and the last event behind the last of them."""
        baseline = next((run.first for run in self.runs if run.arm == "baseline"), None)
        for run in [run for run in self.open if run.finish]:
            self.open.remove(run)
            yield {"type": "receipt", "receipt": run.receipt(self.frame, baseline, 0.0)}
        if not self.open:
            yield {"type": "done"}


class Together:
    """Requests that go through a model side by side; more may be added while some are under way.

    Where the model cannot take rows of several lengths they run one after another.
    """

    def __init__(self, hooked: HookedModel) -> None:
        self.batch = Batch(hooked)
        self.jobs: dict[int, Job] = {}

    def add(self, owner: int, job: Job) -> None:
        """Begins with the next step. `owner` names it among those under way."""
        self.jobs[owner] = job

    def step(self) -> Iterator[Told]:
        """What has just been added begins, and every open arm writes a token."""
        for owner, job in self._due():
            job.begun = True
            yield owner, job.meta()
            if job.cancelled():
                del self.jobs[owner]
                yield owner, FacetError("The request was cancelled before it began.", "cancelled")
                continue
            self.batch.admit(job.served, job.prompt, job.runs, job.request.get("activeFeatures") or 0, owner, job.cancelled)
        for job in self.jobs.values():
            if job.begun and job.cancelled():
                job.stop()
        yield from self.batch.step()
        failed, self.batch.failed = self.batch.failed, {}
        for owner, job in [(owner, job) for owner, job in self.jobs.items() if job.begun]:
            error = failed.get(owner)
            try:
                for event in job.ended() if error is None else ():
                    yield owner, event
            except FacetError as refused:
                error = refused
            if error is not None:
                job.stop()
                yield owner, error
            if error is not None or not job.open:
                del self.jobs[owner]

    def _due(self) -> list[tuple[int, Job]]:
        new = [(owner, job) for owner, job in self.jobs.items() if not job.begun]
        if all(job.served.abilities.padded for job in self.jobs.values()):
            return new
        return [] if any(job.begun for job in self.jobs.values()) else new[:1]

    def run(self) -> Iterator[Told]:
        """Steps until nothing is left."""
        while self.jobs:
            yield from self.step()
