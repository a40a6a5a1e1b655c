"""The studied model as something to ask: plainly, and with a feature clamped, through the engine that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.jobs import Asked, Told

GREY = 127


class Generates(Protocol):
    """What of an engine is needed; `TorchEngine` has it."""

    model_id: str

    def generate_together(self, asked: Sequence[Asked]) -> Iterator[Told]: ...

    def features(self, request: dict[str, Any], images: Sequence[Pixels], cancelled: Callable[[], bool]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Said:
    """One arm's answer: `value` in units of the feature's maximum (None: not clamped); `changed` says whether the clamp changed anything."""

    value: float | None
    text: str
    finish: str
    changed: bool


@dataclass(frozen=True)
class Steered:
    """The answers to one question about one picture: without a clamp, and with the feature set, by growing strength."""

    plain: Said
    with_it: tuple[Said, ...]


@dataclass(frozen=True)
class SteerJob:
    """A feature to clamp on one picture while a question is asked. `values` ascending, in units of `unit`, the feature's maximum."""

    feature: int
    unit: float
    values: tuple[float, ...]
    picture: Pixels
    question: str


def blank(side: int, grey: int = GREY) -> Pixels:
    """An empty picture."""
    return np.full((side, side, 3), grey, np.uint8)


def pixels_of(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), np.uint8)


class StudiedModel:
    """One engine and one of its dictionaries; greedy. Not for two threads at once."""

    def __init__(self, engine: Generates, dictionary: str, max_tokens: int = 48, batch: int = 8) -> None:
        self.engine, self.dictionary, self.max_tokens, self.batch = engine, dictionary, max_tokens, batch
        self.name = engine.model_id

    def _request(self, question: str, feature: int | None, values: Sequence[float], max_tokens: int) -> dict[str, Any]:
        clamps = [{"feature": feature, "op": "set", "value": values[0], "unit": "max", "scope": {"type": "image"}}] if values else []
        # The picture goes beside the request; its hash there would only be repeated in receipts.
        shown = {"type": "image", "image": {"sha256": "0" * 64}}
        request: dict[str, Any] = {
            "dictionary": self.dictionary,
            "messages": [{"role": "user", "content": [shown, {"type": "text", "text": question}]}],
            "sampling": {"maxTokens": max_tokens, "temperature": 0, "topP": 1, "seed": 0},
            "interventions": clamps,
            "mode": "delta",
            "controls": ["baseline"] if values else [],
            "alternatives": 0,
        }
        if len(values) > 1:
            request["sweep"] = {"clamp": 0, "values": list(values[1:])}
        return request

    def _run(self, asked: Sequence[Asked]) -> list[dict[str, dict[str, Any]] | FacetError]:
        """Of each request its receipts by arm, or what it failed of; `batch` requests go through the model together."""
        out: list[dict[str, dict[str, Any]] | FacetError] = [{} for _ in asked]
        for start in range(0, len(asked), self.batch):
            for owner, event in self.engine.generate_together(asked[start : start + self.batch]):
                kept = out[start + owner]
                if isinstance(event, FacetError):
                    out[start + owner] = event
                elif event["type"] == "receipt" and isinstance(kept, dict):
                    kept[event["receipt"]["arm"]] = event["receipt"]
        return out

    def fires(self, picture: Pixels) -> frozenset[int]:
        """Every feature that fires anywhere on a picture. Throws `FacetError`."""
        everything = {"dictionary": self.dictionary, "limit": 1 << 31}
        found = self.engine.features(everything, [picture], lambda: False)
        return frozenset(int(feature["index"]) for feature in found["features"])

    def answers(self, asked: Sequence[tuple[Pixels, str]], max_tokens: int = 16) -> list[str | FacetError]:
        """The model's own answer to each question about its picture."""
        found = self._run([Asked(self._request(question, None, (), max_tokens), [picture]) for picture, question in asked])
        return [one if isinstance(one, FacetError) else str(one["steered"]["text"]).strip() for one in found]

    def steered(self, jobs: Sequence[SteerJob]) -> list[Steered | FacetError]:
        """What the model says without and with each job's clamp."""
        asked = [
            Asked(self._request(job.question, job.feature, job.values, self.max_tokens), [job.picture], {job.feature: job.unit})
            for job in jobs
        ]
        return [one if isinstance(one, FacetError) else _steered(one, job) for one, job in zip(self._run(asked), jobs, strict=True)]


def _said(receipt: Mapping[str, Any], value: float | None) -> Said:
    return Said(value, str(receipt["text"]).strip(), str(receipt["finish"]), receipt["outcome"] != "unchanged")


def _steered(receipts: Mapping[str, Mapping[str, Any]], job: SteerJob) -> Steered:
    arms = ["steered", *(f"sweep:{i}" for i in range(len(job.values) - 1))]
    with_it = tuple(_said(receipts[arm], value) for arm, value in zip(arms, job.values, strict=True))
    return Steered(_said(receipts["baseline"], None), with_it)
