"""Exact answers by task, with n: `python -m demo.evaluate --checkpoint demo/model --out report.json`.

Questions are put to fresh scenes of the test split (seen classes, seen combinations), of the held-out combinations, and of a
drawing style never trained on. Answers are greedy and must equal the expected words.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.generate import greedy, history_ids, load_params, pixel_tensor
from demo.model import Params
from demo.sprites import EXTRA_STYLES, TRAIN_STYLES
from demo.tasks import TASKS, Chat, ask, parse_caption
from demo.world import Scene, Split, render, sample_scene

TARGETS = {"presence": 0.97, "emotion": 0.97, "count": 0.93, "colour": 0.97, "name": 0.95, "place": 0.85, "caption_object_f1": 0.95}


@dataclass(frozen=True)
class Item:
    """A conversation to be held about a scene."""

    scene: Scene
    chat: Chat


def collect(split: Split, per_task: int, styles: tuple[str, ...], tasks: Sequence[str] = TASKS, start: int = 0) -> list[Item]:
    """per_task conversations of each task, at most two of a task a scene, from the split's seeds in order."""
    items: list[Item] = []
    have: Counter[str] = Counter()
    seed = start
    while any(have[t] < per_task for t in tasks) and seed < start + 60 * per_task:
        scene = sample_scene(seed, split, styles)
        rng = np.random.default_rng([seed, 29])
        for task in tasks:
            chats = {c.turns: c for c in (ask(scene, task, rng) for _ in range(1 if task == "caption" else 2)) if c is not None}
            for chat in chats.values():
                if have[task] < per_task:
                    have[task] += 1
                    items.append(Item(scene, chat))
        seed += 1
    return items


def answer_all(p: Params, items: Sequence[Item], scenes_at_once: int = 48, drawn_px: int = 384) -> list[tuple[str, ...]]:
    """The model's answer to every turn; a later turn is asked behind the model's own earlier answers."""
    by_scene: dict[tuple[int, str], list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        by_scene[(item.scene.seed, item.scene.split)].append(i)
    keys = list(by_scene)
    answers: list[list[str]] = [[] for _ in items]
    for at in range(0, len(keys), scenes_at_once):
        group = keys[at : at + scenes_at_once]
        pixels = pixel_tensor([render(items[by_scene[k][0]].scene, drawn_px) for k in group])
        for turn in range(2):
            todo = [(row, i) for row, k in enumerate(group) for i in by_scene[k] if len(items[i].chat.turns) > turn]
            prompts = []
            for _, i in todo:
                turns = items[i].chat.turns
                past = [(turns[t][0], answers[i][t]) for t in range(turn)]
                prompts.append(history_ids(past, turns[turn][0]))
            for (_, i), text in zip(todo, greedy(p, pixels, [row for row, _ in todo], prompts), strict=True):
                answers[i].append(text)
    return [tuple(a) for a in answers]


def _ratio(right: int, n: int) -> dict[str, Any]:
    return {"right": round(right / n, 4) if n else None, "n": n}


def score(items: Sequence[Item], answers: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Shares of exact answers by task and, for captions, of objects; place and name also by number of objects."""
    right: Counter[str] = Counter()
    n: Counter[str] = Counter()
    hit = said = shown = formed = 0
    for item, given in zip(items, answers, strict=True):
        task = item.chat.task
        expected = tuple(a for _, a in item.chat.turns)
        names = [task]
        if task in ("place", "presence", "count", "what_at", "beside", "caption"):
            names.append(f"{task}@{len(item.scene.objects)}")
        for name in names:
            n[name] += 1
            right[name] += given == expected
        if task == "caption":
            truth = {o.entity for o in item.scene.objects}
            parsed = parse_caption(given[0])
            told = {e for e, _ in parsed[0]} if parsed else set()
            formed += parsed is not None
            hit, said, shown = hit + len(told & truth), said + len(told), shown + len(truth)
    out = {name: _ratio(right[name], n[name]) for name in sorted(n)}
    if said + shown:
        out["caption_object_f1"] = {"right": round(2 * hit / (said + shown), 4), "n": shown}
        out["caption_well_formed"] = _ratio(formed, n["caption"])
    return out


def evaluate(
    p: Params, split: Split, per_task: int, styles: tuple[str, ...] = TRAIN_STYLES, tasks: Sequence[str] = TASKS
) -> dict[str, Any]:
    """The report of one split."""
    items = collect(split, per_task, styles, tasks)
    return score(items, answer_all(p, items))


def main() -> None:
    """Write the report."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--checkpoint", type=Path, required=True)
    a.add_argument("--out", type=Path)
    a.add_argument("--per-task", type=int, default=600)
    a.add_argument("--splits", default="test,heldout,style", help="any of val, test, heldout, style")
    a.add_argument("--tasks", default=",".join(TASKS))
    a.add_argument("--threads", type=int, default=1)
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    p = load_params(o.checkpoint)
    report: dict[str, Any] = {"targets": TARGETS, "per_task": o.per_task}
    for name in o.splits.split(","):
        if name == "style":
            report["unseen_style"] = evaluate(p, "test", o.per_task, EXTRA_STYLES, o.tasks.split(","))
        else:
            report[name] = evaluate(p, name, o.per_task, TRAIN_STYLES, o.tasks.split(","))
    text = json.dumps(report, indent=1)
    print(text)
    if o.out:
        o.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
