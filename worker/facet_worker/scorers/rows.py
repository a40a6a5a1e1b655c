"""From single measurements to rows of scores.parquet: a mean over what could be measured, and what could not, with its causes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from facet_worker.score import Score


@dataclass
class Measured:
    """The measurements of one score. `values` and `baselines` one a picture or trial; `failures` those that failed, by cause.

    `of` counts what was to be measured; `value` and `baseline` stand for the means where the score is none (balanced accuracy);
    `why` says what kept it from being measured where no single picture did.
    """

    values: list[float] = field(default_factory=list)
    baselines: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    value: float | None = None
    baseline: float | None = None
    why: str | None = None

    @property
    def of(self) -> int:
        return len(self.values) + self.failures.total()

    def row(self, index: int, explanation: str, metric: str, method: str, unit: str = "pictures") -> Score:
        """The row; without a value, but never without a reason, where nothing could be measured."""
        value = self.value if self.value is not None else _mean(self.values)
        baseline = self.baseline if self.baseline is not None else _mean(self.baselines)
        causes = "; ".join(f"{cause} ({count})" if count > 1 else cause for cause, count in self.failures.most_common())
        failure = None
        if self.failures:
            failure = f"{self.failures.total()} of {self.of} {unit} failed: {causes}."
        elif value is None:
            failure = self.why or "There was nothing to measure."
        n = len(self.values) if value is not None else 0
        return Score(index, explanation, metric, value, baseline, n, failure, method)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def impossible(index: int, explanation: str, metric: str, method: str, why: str) -> Score:
    """A score that this explanation cannot have."""
    return Score(index, explanation, metric, None, None, 0, why, method)
