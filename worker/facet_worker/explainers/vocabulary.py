"""A closed vocabulary: what a model that can say little is able to name, so that labels are read from its answers by rule and not asked of another."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.explainers.prompts import CONCEPTS


@dataclass(frozen=True)
class Label:
    """A label with its concept class; `asked` is how a yes-or-no question names it (None: it cannot be asked about)."""

    words: str
    concept: str
    asked: str | None = None


class Vocabulary:
    """Phrases of answers, each with the labels that it stands for, from the exact one to the broadest."""

    def __init__(self, phrases: dict[str, tuple[str, ...]], labels: dict[str, Label]) -> None:
        """Throws `file_invalid` where a phrase has a label that is not described, or none."""
        for phrase, named in phrases.items():
            if not named or any(label not in labels for label in named):
                raise FacetError(f"The vocabulary does not describe every label of “{phrase}”.", "file_invalid", fix="Add it under labels.")
        self.phrases, self.labels = phrases, labels
        self.rank = {
            label: max(named.index(label) for named in phrases.values() if label in named)
            for label in {n for p in phrases.values() for n in p}
        }
        # The longest phrase first, so that “red heart” is not read as “heart”.
        longest = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
        self._pattern = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(phrase) for phrase in longest) + r")(?!\w)") if longest else None

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """From JSON: `phrases` {phrase: [label, …]} and `labels` {label: {concept, asked}}. Throws `not_found` or `file_invalid`."""
        try:
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            labels = {words: Label(words, str(about["concept"]), about.get("asked")) for words, about in found["labels"].items()}
            phrases = {str(phrase).lower(): tuple(named) for phrase, named in found["phrases"].items()}
        except FileNotFoundError:
            raise FacetError(f"There is no vocabulary {path}.", "not_found", fix="Name its file.") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FacetError(
                f"{path.name} is no vocabulary: {error!r}.", "file_invalid", fix="docs/pipeline-explain.md has its form."
            ) from error
        wrong = sorted({label.concept for label in labels.values()} - set(CONCEPTS))
        if wrong:
            raise FacetError(
                f"{path.name} has an unknown concept class, {wrong[0]}.", "file_invalid", fix=f"Known are {', '.join(CONCEPTS)}."
            )
        return cls(phrases, labels)

    @property
    def sha256(self) -> str:
        """Of its content."""
        content = [sorted(self.phrases.items()), sorted((one.words, one.concept, one.asked) for one in self.labels.values())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _named(self, text: str) -> Iterator[str]:
        if self._pattern is not None:
            flat = " ".join(text.lower().split())
            yield from (match.group() for match in self._pattern.finditer(flat))

    def claims(self, text: str) -> dict[str, int]:
        """Every label that an answer's phrases stand for, with its rank: 0 an exact one, then broader and broader."""
        return {label: self.rank[label] for phrase in self._named(text) for label in self.phrases[phrase]}
