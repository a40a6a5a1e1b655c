"""Ask the model itself what a feature stands for, and make one explanation of its answers, or a failure with its reason.

Two ways: `causal`, clamp the feature where nothing is and ask what is seen; `top-images`, show the images that light the feature up with
everything else masked. What an answer claims is read by a function that the caller brings, as it depends on the model's language.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

CAUSAL = "causal"
TOP_IMAGES = "top-images"
TOKENS = "tokens"


@dataclass(frozen=True)
class Claim:
    """One thing that an answer says is there.

    Attributes
    ----------
    kind : what sort of claim, e.g. `entity`, `background`
    value : what is claimed, e.g. `red heart`
    label : a few words for lists
    concept : concept class of docs/formats.md
    rank : the smaller, the more exact; the most exact claim that enough answers share wins
    """

    kind: str
    value: str
    label: str
    concept: str
    rank: int


@dataclass(frozen=True)
class Explanation:
    """One row of explanations.parquet."""

    index: int
    method: str
    author: str
    text: str | None
    label: str | None
    concept: str | None
    failure: str | None
    prompt: str | None
    created_at: str
    preferred: bool = False
    claim: Claim | None = None

    def prefer(self) -> Explanation:
        return replace(self, preferred=True)


@dataclass(frozen=True)
class Cell:
    """The answers under one condition (a strength, or an image): what each wording's answer claims."""

    condition: str
    claims: tuple[frozenset[Claim], ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """A claim with the conditions that support it."""

    claim: Claim
    conditions: tuple[str, ...]
    of: int

    @property
    def share(self) -> float:
        return len(self.conditions) / self.of


def agree(cells: Sequence[Cell], known: frozenset[Claim], need: float, least: int, wordings: int = 1) -> Agreement | str:
    """The most exact claim that enough conditions share.

    Parameters
    ----------
    cells : answers, one cell a condition
    known : claims that hold without the feature, which prove nothing
    need : share of conditions that have to make the claim
    least : and their number
    wordings : in how many of a condition's wordings the claim has to stand

    Returns
    -------
    the agreement, or the reason why there is none
    """
    if not cells:
        return "There is nothing to ask about: no image lights this feature up."
    support: dict[Claim, list[str]] = defaultdict(list)
    for cell in cells:
        counts = Counter(claim for claims in cell.claims for claim in claims)
        for claim, count in counts.items():
            if count >= min(wordings, len(cell.claims)) and claim not in known:
                support[claim].append(cell.condition)
    if not support:
        said = Counter(answer for cell in cells for answer in cell.answers).most_common(1)
        return f"The answers name nothing new; most often {said[0][0]!r}." if said else "The answers name nothing new."
    enough = [
        Agreement(claim, tuple(conditions), len(cells))
        for claim, conditions in support.items()
        if len(conditions) >= least and len(conditions) >= need * len(cells)
    ]
    if not enough:
        claim, conditions = max(support.items(), key=lambda item: (len(item[1]), -item[0].rank, item[0].value))
        return f"The answers do not agree: {claim.label!r} comes in {len(conditions)} of {len(cells)}, which is the most."
    return min(enough, key=lambda a: (a.claim.rank, -len(a.conditions), a.claim.value))


def explanation_of(
    index: int, method: str, author: str, prompt: str, created_at: str, found: Agreement | str, sentence: Callable[[Agreement], str]
) -> Explanation:
    """A row from an agreement, or a recorded failure from a reason."""
    if isinstance(found, str):
        return Explanation(index, method, author, None, None, None, found, prompt, created_at)
    claim = found.claim
    return Explanation(index, method, author, sentence(found), claim.label, claim.concept, None, prompt, created_at, claim=claim)
