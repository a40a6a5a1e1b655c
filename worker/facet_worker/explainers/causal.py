"""Explain by cause: set the feature on an empty picture, and let the studied model itself say what it sees.

After "Language Models Can Explain Visual Features via Steering" (arXiv 2603.22593), with the clamp at the dictionary's hook.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.explainers.outcome import CAUSAL, Outcome, explained, failed
from facet_worker.explainers.prompts import Unread, quoted
from facet_worker.studied import Said, Steered

STRENGTHS = (1.0, 2.0, 4.0, 8.0)
LEAST = 2
"""Strengths at which the same new word has to come."""

_LOOP = 3


def words(text: str) -> list[str]:
    """Words of three letters and more, in lower case, each once, in their order."""
    return list(dict.fromkeys(word.lower() for word in re.findall(r"[^\W\d_]{3,}", text)))


def loops(text: str) -> bool:
    """Whether the same three words come three times: the clamp broke the model's language."""
    said = re.findall(r"\w+", text.lower())
    runs = Counter(zip(said, said[1:], said[2:], strict=False))
    return any(count >= _LOOP for count in runs.values())


def choose(found: Steered) -> Said | Unread:
    """The weakest answer with the new word that most strengths share; or why there is none."""
    plain = set(words(found.plain.text))
    telling = [said for said in found.with_it if said.changed and said.text != found.plain.text and not loops(said.text)]
    new = {id(said): [word for word in words(said.text) if word not in plain] for said in telling}
    telling = [said for said in telling if new[id(said)]]
    if not telling:
        broken = next((said for said in found.with_it if loops(said.text)), None)
        if broken is not None:
            return Unread("broken", f"The clamped model only repeats itself: {quoted(broken.text)}.")
        return Unread("nothing_new", f"Clamped or not, the model sees nothing else: {quoted(found.plain.text)}.")
    support = Counter(word for said in telling for word in new[id(said)])
    word, count = support.most_common(1)[0]
    if count < min(LEAST, len(found.with_it)):
        return Unread("disagree", f"The answers do not agree: {'; '.join(quoted(said.text, 60) for said in telling)}.")
    return next(said for said in telling if word in new[id(said)])


def prompt_of(question: str, strengths: Sequence[float]) -> str:
    """Provenance: what was asked and what was done to the model."""
    return f"{question} ({conditions(strengths)})"


def conditions(strengths: Sequence[float]) -> str:
    """What was done to the model."""
    return f"an empty picture; the feature set on all of it to {', '.join(f'{v:g}' for v in strengths)} times its maximum"


def to_json(found: Steered) -> dict[str, Any]:
    return asdict(found)


def from_json(found: dict[str, Any]) -> Steered:
    return Steered(Said(**found["plain"]), tuple(Said(**said) for said in found["with_it"]))


def explain(index: int, found: Steered | FacetError | str, author: str, prompt: str, created_at: str) -> Outcome:
    """An explanation from the model's answers; a string says why there are none."""
    if isinstance(found, FacetError | str):
        return Outcome(failed(index, CAUSAL, author, prompt, created_at, f"The model could not be asked: {found}"), "engine")
    evidence = to_json(found)
    chosen = choose(found)
    if isinstance(chosen, Unread):
        return Outcome(failed(index, CAUSAL, author, prompt, created_at, chosen.sentence), chosen.cause, evidence=evidence)
    return Outcome(explained(index, CAUSAL, author, prompt, created_at, chosen.text), evidence={**evidence, "strength": chosen.value})
