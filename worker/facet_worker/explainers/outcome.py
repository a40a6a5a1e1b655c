"""What comes of explaining one feature in one way: a row of explanations.parquet and what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from facet_worker.explain import Explanation

TOP_IMAGES, CAUSAL, BOTH = "top-images", "causal", "steering-informed"
METHODS = (TOP_IMAGES, CAUSAL, BOTH)


@dataclass(frozen=True)
class Outcome:
    """An explanation, or a recorded failure with its cause.

    Attributes
    ----------
    cause : None where there is a text
    asked : keys of the answers that it rests on
    evidence : what else there is to show: the pictures, the answers at each strength
    """

    explanation: Explanation
    cause: str | None = None
    asked: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        row = {name: value for name, value in asdict(self.explanation).items() if name != "claim"}
        return {"explanation": row, "evidence": self.evidence}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def explained(index: int, method: str, author: str, prompt: str, created_at: str, text: str) -> Explanation:
    return Explanation(index, method, author, text, None, None, None, prompt, created_at)


def failed(index: int, method: str, author: str, prompt: str, created_at: str, failure: str) -> Explanation:
    return Explanation(index, method, author, None, None, None, failure, prompt, created_at)
