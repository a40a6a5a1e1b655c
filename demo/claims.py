"""What an answer claims, in the model's language, and where that claim is true in a scene."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from demo.classes import BACKGROUNDS, CLASSES, PLACES, Entity
from demo.tasks import KIND_PLURALS, entity_phrase, parse_caption
from demo.world import PATCH_COVERAGE, ObjectTruth, Scene, draw
from facet_worker.explain import Claim

GRID = 12
_CONCEPTS = {"face": "emotion", "word": "text", "letter": "text"}
_PLURALS = {**KIND_PLURALS, "thing": "things", "face": "faces", "word": "signs", "letter": "letters"}


def article_free(phrase: str) -> str:
    """The phrase without `a` or `an`."""
    head, _, rest = phrase.partition(" ")
    return rest if head in ("a", "an") and rest else phrase


@functools.cache
def phrases() -> dict[str, Entity]:
    """Noun phrase → thing."""
    from demo.classes import ENTITIES

    return {entity_phrase(e): e for e in ENTITIES}


def thing_claims(phrase: str) -> frozenset[Claim]:
    """From the exact thing to its kind; empty when the phrase names nothing known."""
    entity = phrases().get(article_free(phrase.strip()))
    if entity is None:
        return frozenset()
    c = CLASSES[entity.cls]
    concept = _CONCEPTS.get(c.kind, "object")
    out = {Claim("entity", entity_phrase(entity), entity_phrase(entity), concept, 0)}
    if c.kind in ("shape", "word"):
        out.add(Claim("class", c.name, f"{c.name} of any colour" if c.kind == "shape" else "signs with a word", concept, 1))
    if entity.colour is not None:
        out.add(Claim("colour", entity.colour, f"{entity.colour} shapes", "colour", 2))
    out.add(Claim("kind", c.kind, _PLURALS[c.kind], concept, 3))
    return frozenset(out)


def background_claims(word: str) -> frozenset[Claim]:
    """The background's colour."""
    word = word.strip()
    return frozenset({Claim("background", word, f"{word} background", "colour", 4)}) if word in BACKGROUNDS else frozenset()


def place_claims(place: str) -> frozenset[Claim]:
    """The place in the picture."""
    return frozenset({Claim("place", place, f"{place} of the picture", "position", 5)}) if place in PLACES else frozenset()


def caption_claims(text: str) -> frozenset[Claim]:
    """Things and background of a whole caption; empty when it is not well formed."""
    parsed = parse_caption(text)
    if parsed is None:
        return frozenset()
    things, background = parsed
    out: set[Claim] = set(background_claims(background or ""))
    for entity, _ in things:
        out |= thing_claims(entity_phrase(entity))
    return frozenset(out)


def place_of_cell(cell: int) -> str:
    """The place, of nine, in which a cell of the 12 × 12 grid lies."""
    row, column = divmod(cell, GRID)
    return PLACES[row // 4 * 3 + column // 4]


@functools.cache
def claims_by_label() -> dict[str, Claim]:
    """Every claim about a picture, by its label."""
    things = {claim for phrase in phrases() for claim in thing_claims(phrase)}
    rest = {claim for word in BACKGROUNDS for claim in background_claims(word)} | {
        claim for place in PLACES for claim in place_claims(place)
    }
    return {claim.label: claim for claim in things | rest}


def _shows(shown: ObjectTruth, claim: Claim) -> bool:
    """Whether an object is what a claim says. Throws `KeyError` for a claim that is of no object."""
    value = {"entity": entity_phrase(shown.entity), "class": shown.name, "colour": shown.colour, "kind": shown.kind}[claim.kind]
    return value == claim.value


class Truth:
    """Exact coverage of one scene: for every object the share of each cell that it shows."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        size = GRID * 16
        labels = draw(scene, size)[1]
        cells = labels.reshape(GRID, 16, GRID, 16).swapaxes(1, 2).reshape(GRID * GRID, 256)
        n = len(scene.objects)
        self.coverage: npt.NDArray[np.float32] = (
            np.stack([(cells == i).mean(1, dtype=np.float32) for i in range(n)]) if n else np.zeros((0, GRID * GRID), np.float32)
        )
        self._labels: npt.NDArray[np.int8] | None = None
        self.shown: npt.NDArray[np.bool_] = self.coverage >= PATCH_COVERAGE

    def _drawn(self, side: int) -> npt.NDArray[np.int8]:
        if self._labels is None or len(self._labels) != side:
            self._labels = draw(self.scene, side)[1]
        return self._labels

    def _of(self, which: list[int]) -> npt.NDArray[np.bool_]:
        return np.asarray(self.shown[which].any(0)) if which else np.zeros(GRID * GRID, np.bool_)

    def mask(self, claim: Claim) -> npt.NDArray[np.bool_]:
        """Cells bool [144] on which the claim is true; none where it is not."""
        if claim.kind == "background":
            same = self.scene.background.word == claim.value
            return ~np.asarray(self.shown.any(0)) if same else np.zeros(GRID * GRID, np.bool_)
        if claim.kind == "place":
            return np.array([place_of_cell(cell) == claim.value for cell in range(GRID * GRID)])
        return self._of([i for i, o in enumerate(self.scene.objects) if _shows(o, claim)])

    def pixels(self, claim: Claim, side: int) -> npt.NDArray[np.bool_]:
        """The same bool [side, side], to the pixel: a thing is where it is drawn."""
        labels = self._drawn(side)
        if claim.kind == "place":
            return np.kron(self.mask(claim).reshape(GRID, GRID), np.ones((side // GRID, side // GRID), np.bool_)).astype(np.bool_)
        if claim.kind == "background":
            return (labels < 0) & (self.scene.background.word == claim.value)
        return np.isin(labels, [i for i, o in enumerate(self.scene.objects) if _shows(o, claim)])

    def class_at(self, cell: int) -> int:
        """The class shown most in a cell, −1 for background."""
        if not len(self.coverage):
            return -1
        best = int(self.coverage[:, cell].argmax())
        return self.scene.objects[best].cls if self.coverage[best, cell] >= PATCH_COVERAGE else -1
