"""What a clamp spoils: exact answers to questions about other things in the picture, asked while the feature is set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from demo.classes import CLASSES
from demo.steering_trials import Stage, Trial
from demo.tasks import Chat, entity_phrase
from demo.tasks import ask as pose
from facet_worker.steer import Asker, Prefix

TASKS = ("background", "place", "presence", "what_at")
BATCH = 64


# some trials → their images' rows, the changed hidden states of the images [B, P, D], and what happens to the words behind them
Changed = Callable[[list[Trial]], tuple[Prefix, Tensor, Callable[[Tensor], Tensor] | None]]


@dataclass(frozen=True)
class Question:
    """One question with its exact answer."""

    asked: str
    answer: str


def _unrelated(chat: Chat, trial: Trial, stage: Stage) -> bool:
    """Not about the clamped class, nor about the thing whose patches may be changed, nor about the place that is."""
    words = f" {' '.join(part for turn in chat.turns for part in turn)} "
    largest = next(o for o in stage.truth.scene.objects if o.place == stage.own_place)
    about = {
        CLASSES[trial.cls].name,
        CLASSES[stage.own_cls].name,
        entity_phrase(largest.entity),
        f"the {stage.own_place}",
        f"the {stage.empty_place}",
    }
    return all(f" {phrase} " not in words for phrase in about)


def questions(trials: list[Trial], stages: list[Stage], rng: np.random.Generator) -> list[Question]:
    """One question a trial, tasks in turn; the background's colour where a scene has nothing else to ask."""
    out = []
    for n, trial in enumerate(trials):
        stage = stages[trial.scene]
        chat: Chat | None = None
        for attempt in range(12):
            posed = pose(stage.truth.scene, TASKS[(n + attempt) % len(TASKS)], rng)
            if posed is not None and _unrelated(posed, trial, stage):
                chat = posed
                break
        chat = chat or pose(stage.truth.scene, "background", rng)
        assert chat is not None
        out.append(Question(*chat.turns[0]))
    return out


@torch.inference_mode()
def right(asker: Asker, trials: list[Trial], asked: list[Question], changed: Changed) -> list[bool]:
    """Whether each answer is exactly right while the trial's clamp acts on the image and, where its scope says so, on the words."""
    out = [False] * len(trials)
    by_length: dict[int, list[int]] = defaultdict(list)
    ids = [asker.words_of([("user", q.asked)]) for q in asked]
    for n, row in enumerate(ids):
        by_length[len(row)].append(n)
    for group in by_length.values():
        for start in range(0, len(group), BATCH):
            part = group[start : start + BATCH]
            rows, hidden, words = changed([trials[n] for n in part])
            answers = asker.ask_rows(rows.low, asker.open(hidden), torch.tensor([ids[n] for n in part]), change=words)
            for n, answer in zip(part, answers, strict=True):
                out[n] = answer == asked[n].answer
    return out
