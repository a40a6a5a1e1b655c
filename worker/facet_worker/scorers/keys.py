"""What a score was measured of: it is kept by the words of its explanation and of the one that it is compared with, and goes with these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from facet_worker.explain import Explanation

_NEVER = np.uint64(2**64 - 1)


def _number(*of: object) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(json.dumps(of).encode()).digest()[:8], "big"))


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's last rounds: numbers that look drawn at random, the same for the same x."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key(index: int, row: Explanation | None, other: Explanation | None) -> str:
    """By what a record of one metric is kept.

    Parameters
    ----------
    row : the explanation that is scored; None where the score is the feature's own, whatever is said of it
    other : the one that its chance is measured with
    """
    said = [None if one is None else [one.text, one.label] for one in (row, other)]
    of = [*said, None if other is None else other.index]
    return f"{index}:{hashlib.sha256(json.dumps(of).encode()).hexdigest()[:24]}"


class Others:
    """Of other features' explanations one for each feature and metric, drawn at random by label, so that it says something else.

    Each label's draw is its own (rendezvous hashing): another label that comes, goes or changes leaves all draws but those that it wins or had won.
    """

    def __init__(self, explanations: Sequence[Explanation], seed: int) -> None:
        """One explanation stands for all with its label: the last."""
        self._rows = [row for _, row in sorted({row.label: row for row in explanations if row.text and row.label}.items())]
        self._at = {row.label: place for place, row in enumerate(self._rows)}
        self._labels = np.array([_number(row.label) for row in self._rows], np.uint64)
        self._seed = seed

    @property
    def indices(self) -> set[int]:
        """The features that may be drawn."""
        return {row.index for row in self._rows}

    def draw(self, metric: str, row: Explanation, fits: Callable[[str | None], bool] = lambda _: True) -> Explanation | None:
        """For the row's feature and a metric another feature's explanation with another label that `fits`; None where there is none."""
        drawn = _mixed(self._labels ^ _number(self._seed, metric, row.index))
        if row.label in self._at:
            drawn[self._at[row.label]] = _NEVER
        for _ in range(len(drawn)):
            place = int(drawn.argmin())
            if drawn[place] == _NEVER:
                break
            found = self._rows[place]
            if found.index != row.index and fits(found.label):
                return found
            drawn[place] = _NEVER
        return None
