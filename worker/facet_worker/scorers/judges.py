"""Who is asked whether an explanation fits: an endpoint, or the studied model itself. What it says beside yes or no is a failure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.settings import AskFailed
from facet_worker.errors import FacetError
from facet_worker.explainers.prompts import quoted
from facet_worker.explainers.vocabulary import Vocabulary
from facet_worker.studied import StudiedModel, pixels_of

SHOWS = "Does this picture show the following?\n{text}\nAnswer with yes or no, and nothing else."
SHOWS_SHORT = "is there a {label} ?"
FITS = (
    "A unit inside a vision-language model is active in some places of a picture and silent in others. Above are the pictures on which it is most active; "
    "wherever it is silent they are darkened. Somebody says that it stands for:\n{text}\nDoes that fit what is visible? Answer with yes or no, and nothing else."
)


@dataclass(frozen=True)
class Verdict:
    """Yes or no; or None with the reason in `failure`. `key` is the answer's in the folder, where there is one."""

    yes: bool | None
    failure: str | None = None
    key: str | None = None


def read_verdict(text: str, key: str | None = None) -> Verdict:
    """An answer that is nothing but yes or no (or 1 or 0), in any spelling."""
    said = re.sub(r"[^\w\s]", " ", text).lower().split()
    if said in (["yes"], ["1"]):
        return Verdict(True, None, key)
    if said in (["no"], ["0"]):
        return Verdict(False, None, key)
    # “yes , there is” and “no dog” are answers; “yes and no” is none.
    if said and said[0] in ("yes", "no") and not {"yes", "no"} - {said[0]} & set(said):
        return Verdict(said[0] == "yes", None, key)
    return Verdict(None, f"the judge said neither yes nor no: {quoted(text, 60)}", key)


class Judge(Protocol):
    """Answers one question about pictures. `together`: whether it can look at several at once."""

    name: str
    together: bool

    def verdicts(self, asked: Sequence[tuple[Sequence[Image.Image], str]]) -> list[Verdict]: ...

    def shows(self, text: str, label: str | None) -> str: ...

    def can_ask(self, label: str | None) -> bool: ...


class EndpointJudge:
    """An OpenAI-compatible endpoint."""

    together = True

    def __init__(self, asker: EndpointAsker, max_tokens: int = 16) -> None:
        self.asker, self.max_tokens, self.name = asker, max_tokens, asker.settings.model

    def shows(self, text: str, label: str | None) -> str:
        return SHOWS.format(text=text)

    def can_ask(self, label: str | None) -> bool:
        return True

    def verdicts(self, asked: Sequence[tuple[Sequence[Image.Image], str]]) -> list[Verdict]:
        """Throws what ends a run: `CostLimitReached`, `FacetError`."""
        out = []
        for pictures, question in asked:
            try:
                answer = self.asker.ask(question, pictures, self.max_tokens)
                out.append(read_verdict(answer.text, answer.key))
            except AskFailed as error:
                out.append(Verdict(None, f"the endpoint: {error}"))
        return out


class StudiedJudge:
    """The studied model itself, one picture a question. `question` has a place for {label}; a `vocabulary` says how it names each, if it can."""

    together = False

    def __init__(self, model: StudiedModel, question: str = SHOWS_SHORT, vocabulary: Vocabulary | None = None) -> None:
        self.model, self.question, self.vocabulary, self.name = model, question, vocabulary, model.name

    def shows(self, text: str, label: str | None) -> str:
        named = label or text
        if self.vocabulary is not None and self.can_ask(label):
            named = str(self.vocabulary.labels[named].asked)
        return self.question.format(label=named)

    def can_ask(self, label: str | None) -> bool:
        """Whether there are words to ask it by."""
        if self.vocabulary is None:
            return True
        return label in self.vocabulary.labels and self.vocabulary.labels[label].asked is not None

    def verdicts(self, asked: Sequence[tuple[Sequence[Image.Image], str]]) -> list[Verdict]:
        found = self.model.answers([(pixels_of(pictures[0]), question) for pictures, question in asked])
        return [Verdict(None, f"the model: {one}") if isinstance(one, FacetError) else read_verdict(one) for one in found]
