"""The same clamps under other questions than the caption's: whether an effect is the feature's or only that one question's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from demo.classes import ENTITIES
from demo.steering_trials import Share, Stage, Trial, names, share
from demo.tasks import WORDINGS, entity_phrase, place_phrase, with_article
from facet_worker.steer import Asker, Prefix

Form = Literal["caption", "presence", "what_at"]
FORMS: tuple[Form, ...] = ("caption", "presence", "what_at")
ROWS = [(scope, strength) for scope in ("object", "image") for strength in (2.0, 4.0, 8.0)]
LIMITS: dict[Form, int] = {"caption": 56, "presence": 4, "what_at": 12}
BATCH = 32

# some trials → their images' rows, the changed hidden states of the images [B, P, D], and what happens to the words behind them
Changed = Callable[[list[Trial]], tuple[Prefix, Tensor, Callable[[Tensor], Tensor] | None]]


@dataclass(frozen=True)
class Asked:
    """A trial with the question that is put to its picture."""

    trial: Trial
    question: str


def pose(form: Form, trial: Trial, stage: Stage) -> str:
    """The question: another wording for a caption; whether the thing is there; or what stands where the picture's largest thing does."""
    if form == "caption":
        return WORDINGS["caption"][1]
    if form == "presence":
        entity = next(e for e in ENTITIES if e.cls == trial.cls)
        return WORDINGS["presence"][0].format(with_article(entity_phrase(entity)))
    return WORDINGS["what_at"][0].format(place_phrase(stage.own_place))


def says(form: Form, answer: str, cls: int) -> bool:
    """Whether an answer says that a thing of the class is there."""
    return answer == "yes" if form == "presence" else names(answer, cls)


@torch.inference_mode()
def replies(asker: Asker, asked: list[Asked], changed: Changed, limit: int) -> list[str]:
    """What the model answers, question by question; those of one length go together."""
    ids = [asker.words_of([("user", a.question)]) for a in asked]
    by_length: dict[int, list[int]] = defaultdict(list)
    for n, row in enumerate(ids):
        by_length[len(row)].append(n)
    out = [""] * len(asked)
    for group in by_length.values():
        for start in range(0, len(group), BATCH):
            part = group[start : start + BATCH]
            rows, hidden, words = changed([asked[n].trial for n in part])
            said = asker.ask_rows(rows.low, asker.open(hidden), torch.tensor([ids[n] for n in part]), limit, words)
            for n, answer in zip(part, said, strict=True):
                out[n] = answer
    return out


def measure_forms(
    asker: Asker, chosen: list[Trial], scenes: list[Stage], untouched: Changed, arms: dict[str, Changed]
) -> list[dict[str, Any]]:
    """For each form how often the absent class is said to be there without a clamp, and by scope and strength in each arm."""
    out = []
    for form in FORMS:

        def counted(trials: list[Trial], changed: Changed, form: Form = form) -> Share:
            asked = [Asked(t, pose(form, t, scenes[t.scene])) for t in trials]
            said = replies(asker, asked, changed, LIMITS[form])
            return share(sum(says(form, text, t.cls) for text, t in zip(said, trials, strict=True)), len(trials))

        once = [t for t in chosen if (t.scope, t.strength) == ROWS[0]]
        rows = []
        for scope, strength in ROWS:
            part = [t for t in chosen if (t.scope, t.strength) == (scope, strength)]
            rows.append({"scope": scope, "strength": strength, **{arm: counted(part, changed) for arm, changed in arms.items()}})
        out.append(
            {"form": form, "question": pose(form, once[0], scenes[once[0].scene]), "baseline": counted(once, untouched), "rows": rows}
        )
        print(f"[forms] {form}: done", flush=True)
    return out
