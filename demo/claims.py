"""What an answer claims, in the model's language, and where that claim is true in a scene."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from demo.classes import BACKGROUNDS, CLASSES, PLACES, Entity
from demo.tasks import KIND_PLURALS, entity_phrase, parse_caption
from demo.world import PATCH_COVERAGE, Scene, draw
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
        self.shown: npt.NDArray[np.bool_] = self.coverage >= PATCH_COVERAGE

    def _of(self, which: list[int]) -> npt.NDArray[np.bool_]:
        return np.asarray(self.shown[which].any(0)) if which else np.zeros(GRID * GRID, np.bool_)

    def mask(self, claim: Claim) -> npt.NDArray[np.bool_]:
        """Cells bool [144] on which the claim is true; none where it is not."""
        objects = self.scene.objects
        if claim.kind == "entity":
            return self._of([i for i, o in enumerate(objects) if entity_phrase(o.entity) == claim.value])
        if claim.kind == "class":
            return self._of([i for i, o in enumerate(objects) if o.name == claim.value])
        if claim.kind == "colour":
            return self._of([i for i, o in enumerate(objects) if o.colour == claim.value])
        if claim.kind == "kind":
            return self._of([i for i, o in enumerate(objects) if o.kind == claim.value])
        if claim.kind == "background":
            same = self.scene.background.word == claim.value
            return ~np.asarray(self.shown.any(0)) if same else np.zeros(GRID * GRID, np.bool_)
        if claim.kind == "place":
            return np.array([place_of_cell(cell) == claim.value for cell in range(GRID * GRID)])
        raise KeyError(claim.kind)

    def class_at(self, cell: int) -> int:
        """The class shown most in a cell, −1 for background."""
        if not len(self.coverage):
            return -1
        best = int(self.coverage[:, cell].argmax())
        return self.scene.objects[best].cls if self.coverage[best, cell] >= PATCH_COVERAGE else -1
