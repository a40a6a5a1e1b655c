"""How well dictionaries do on what they were not trained on: how much of the states they explain, and how much of the model's own loss they leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.hooked_model import changed_output
from facet_worker.training.model_source import OUT_OF_RANGE, Example, ModelSource, alike, wanted_positions


class _Explained:
    """Sums over batches of states, so that they need not be held."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.tokens = 0
        self.active = self.error = self.squares = 0.0
        self.sum = torch.zeros(dictionary.width, dtype=torch.float64)
        self.fired = torch.zeros(dictionary.num_latents, dtype=torch.bool)

    def add(self, states: Tensor) -> None:
        """States [n, D]."""
        indices, values = self.dictionary.encode(states)
        self.error += float((states - self.dictionary.decode(indices, values)).double().square().sum())
        self.squares += float(states.double().square().sum())
        self.sum += states.double().sum(0).cpu()
        self.active += float((values > 0).sum())
        self.fired[indices[values > 0].cpu()] = True
        self.tokens += len(states)

    def report(self) -> dict[str, float]:
        if not self.tokens:
            return {"tokens": 0}
        variance = self.squares - float(self.sum.square().sum()) / self.tokens
        fvu = self.error / max(variance, 1e-12)
        return {
            "fvu": fvu, "explained_variance": 1 - fvu, "l0": self.active / self.tokens,
            "silent_share": 1 - float(self.fired.float().mean()), "tokens": self.tokens,
        }  # fmt: skip


def _losses(source: ModelSource, inputs: dict[str, Any], words: Tensor, hook: int, change: Any) -> Tensor:
    """Cross-entropy of each word [n] given what is before it, in nats, with the hooked states changed."""
    ids = inputs["input_ids"]
    place = source.blocks[source.order[hook]]
    with torch.no_grad(), nullcontext() if change is None else changed_output(place, change):
        logits = source.hooked.model(**inputs, use_cache=False).logits.float()
    return F.cross_entropy(logits[:, words - 1].flatten(0, 1), ids[:, words].flatten(), reduction="none")


def held_out(
    source: ModelSource, dictionaries: Sequence[Dictionary], examples: Sequence[Example], together: int = 8
) -> list[dict[str, float | None]]:
    """For the dictionary of each of the source's hooks: `fvu`, `explained_variance`, `l0`, `silent_share` (of latents, on these tokens), `tokens`; and

    `loss_clean`, `loss_reconstructed`, `loss_ablated`, in nats a word of the examples' texts, where the hooked states of every position are as they are,
    are the dictionary's reconstruction, or are their mean over these examples; `loss_recovered` = (ablated − reconstructed) / (ablated − clean), None where
    ablating changes nothing; and `loss_words`, over how many words. Without texts there are none of these. Examples whose states hold a number out of range are left out and counted.
    """
    explained = [_Explained(dictionary) for dictionary in dictionaries]
    prompts = source.prompts_of(examples)
    batches: list[list[int]] = []
    means = torch.zeros(len(dictionaries), source.width, dtype=torch.float64)
    for part in (group[i : i + together] for group in alike(prompts) for i in range(0, len(group), together)):
        states = source.states([prompts[i] for i in part])
        good = torch.isfinite(states).flatten(1).all(1).tolist()
        if not all(good):
            source.causes[OUT_OF_RANGE] += good.count(False)
        if not any(good):
            continue
        group, states = [i for i, fine in zip(part, good, strict=True) if fine], states[torch.tensor(good)]
        batches.append(group)
        means += states.double().sum((0, 1)).cpu()
        chosen = torch.cat(
            [one[wanted_positions(prompts[i].layout, source.tokens).to(one.device)] for i, one in zip(group, states, strict=True)]
        )
        for hook, one in enumerate(explained):
            one.add(chosen[:, hook])
    means /= max(1, sum(prompts[i].layout.length for group in batches for i in group))
    reports = [part.report() for part in explained]
    losses = torch.zeros(len(dictionaries), 3, dtype=torch.float64)
    count = 0
    for group in batches:
        # Their layouts are alike up to which positions hold words.
        for words, members in _by_words(prompts, group):
            if not len(words):
                continue
            count += len(words) * len(members)
            inputs = source.moved([prompts[i] for i in members])
            for hook, dictionary in enumerate(dictionaries):
                mean = means[hook].to(source.hooked.device)
                changes = (None, _reconstruct(dictionary), lambda h, mean=mean: mean.to(h.dtype).expand_as(h).contiguous())
                for column, change in enumerate(changes):
                    losses[hook, column] += float(_losses(source, inputs, words, hook, change).double().sum())
    if count:
        for report, row in zip(reports, losses / count, strict=True):
            clean, reconstructed, ablated = row.tolist()
            recovered = (ablated - reconstructed) / (ablated - clean) if ablated != clean else math.nan
            report |= {
                "loss_clean": clean, "loss_reconstructed": reconstructed, "loss_ablated": ablated, "loss_recovered": recovered, "loss_words": count,
            }  # fmt: skip
    # What is out of range or undefined is no number, and keeps no report from being written.
    return [{name: value if math.isfinite(value) else None for name, value in report.items()} for report in reports]


def _by_words(prompts: Sequence[Any], group: Sequence[int]) -> list[tuple[Tensor, list[int]]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for i in group:
        found.setdefault(tuple(wanted_positions(prompts[i].layout, "text").tolist()), []).append(i)
    return [(torch.tensor(words, dtype=torch.long), members) for words, members in found.items()]


def _reconstruct(dictionary: Dictionary) -> Any:
    def change(hidden: Tensor) -> Tensor:
        flat = hidden.flatten(0, 1).float()
        return dictionary.decode(*dictionary.encode(flat)).view_as(hidden).to(hidden.dtype)

    return change
