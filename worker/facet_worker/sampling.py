"""From logits to the next token, number for number as lib/core/sampling.ts and lib/core/random.ts do it, so that seeds agree between engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Logprobs = npt.NDArray[np.float64]
_WORD = 0xFFFFFFFF


def create_random(seed: int, stream: int = 0) -> Callable[[], float]:
    """Seeded pseudo-random numbers in [0, 1): sfc32 (public-domain construction by Chris Doty-Humphrey), warmed up so that near seeds part."""
    a, b, c, counter = seed & _WORD, stream & _WORD, 0x9E3779B9, 1

    def draw() -> float:
        nonlocal a, b, c, counter
        total = (a + b + counter) & _WORD
        counter = (counter + 1) & _WORD
        a = b ^ (b >> 9)
        b = (c + (c << 3)) & _WORD
        c = (((c << 21) & _WORD | c >> 11) + total) & _WORD
        return total / 2**32

    for _ in range(16):
        draw()
    return draw


def log_softmax(logits: npt.NDArray[np.float32]) -> Logprobs:
    """ln softmax of logits [V], in double precision."""
    wide = logits.astype(np.float64)
    peak = wide.max()
    return np.asarray(wide - (peak + np.log(np.exp(wide - peak).sum())))


def likeliest(logprobs: Logprobs, n: int) -> list[int]:
    """The `n` likeliest tokens, likeliest first, the lower id first where two are equal."""
    if n == 0:
        return []
    n = min(n, len(logprobs))
    floor = np.partition(logprobs, -n)[-n]
    ids = np.flatnonzero(logprobs >= floor)
    return [int(i) for i in ids[np.argsort(-logprobs[ids], kind="stable")][:n]]


def choose_token(logits: npt.NDArray[np.float32], sampling: Mapping[str, Any], random: Callable[[], float]) -> int:
    """The next token. `random` is called once a sampled token and not at all when greedy."""
    if sampling["temperature"] == 0:
        return int(logits.argmax())
    logprobs = log_softmax((logits.astype(np.float64) / sampling["temperature"]).astype(np.float32))
    order = np.argsort(-logprobs, kind="stable")
    mass = np.cumsum(np.exp(logprobs[order]))
    size = min(int(np.searchsorted(mass, sampling["topP"], side="left")) + 1, len(mass))
    at = int(np.searchsorted(mass[:size], random() * mass[size - 1], side="right"))
    return int(order[min(at, size - 1)])


def draw_substitutes(features: Sequence[int], num_latents: int, units: Mapping[int, float], seed: int) -> list[int]:
    """For each clamped feature another one to write along: not clamped itself, none twice, alive where enough are; the same choice as every engine's."""
    random = create_random(seed, 1)
    taken = set(features)
    chosen = []
    for feature in features:
        choice = feature
        # A dictionary may be mostly dead or mostly clamped: what is drawn last is then kept, so that drawing ends.
        for _ in range(1_000):
            drawn = int(random() * num_latents)
            if drawn in taken:
                continue
            choice = drawn
            if units.get(drawn, 0) > 0:
                break
        taken.add(choice)
        chosen.append(choice)
    return chosen
