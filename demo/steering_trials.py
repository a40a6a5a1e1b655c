"""What steering is counted on: scenes with truth, trials of a clean feature on them, and how an answer is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.catalogue import Catalogue
from demo.claims import GRID, Truth
from demo.classes import CLASSES, PLACES
from demo.clean_features import Clean
from demo.tasks import parse_caption
from facet_worker.score import wilson

STRENGTHS = (1.0, 2.0, 4.0, 8.0)
SCOPES = ("object", "swap", "cell", "image", "all")
Mask = npt.NDArray[np.bool_]
Share = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """A feature of class `cls` set on some cells of scene number `scene`; `place` is where the cells lie, when that is one place."""

    feature: int
    cls: int
    scene: int
    scope: str
    strength: float
    place: str | None


@dataclass(frozen=True)
class Stage:
    """A catalogue image with two sets of cells: its largest object's patches, and the inner 3 × 3 of a place with nothing in it."""

    index: int
    truth: Truth
    own: Mask
    own_place: str
    own_cls: int
    empty: Mask
    empty_place: str

    def cells(self, scope: str) -> tuple[Mask, str | None]:
        """The cells of a scope, and their place where it is one."""
        if scope in ("object", "swap"):
            return self.own, self.own_place
        if scope == "cell":
            return self.empty, self.empty_place
        return np.ones(GRID * GRID, np.bool_), None


def _stage(catalogue: Catalogue, index: int, rng: np.random.Generator) -> Stage | None:
    objects = catalogue.scenes[index].objects
    if not 1 <= len(objects) <= 3:
        return None
    truth = Truth(catalogue.scenes[index])
    largest = int(truth.shown.sum(1).argmax())
    taken = truth.shown.any(0).reshape(GRID, GRID)
    free = [n for n in range(9) if not taken[n // 3 * 4 : n // 3 * 4 + 4, n % 3 * 4 : n % 3 * 4 + 4].any()]
    if not free or truth.shown[largest].sum() < 4:
        return None
    place = free[int(rng.integers(len(free)))]
    block = np.zeros((GRID, GRID), np.bool_)
    block[place // 3 * 4 : place // 3 * 4 + 3, place % 3 * 4 : place % 3 * 4 + 3] = True
    return Stage(index, truth, truth.shown[largest], objects[largest].place, objects[largest].cls, block.reshape(-1), PLACES[place])


def stages(catalogue: Catalogue, count: int, rng: np.random.Generator) -> list[Stage]:
    """The last `count` images of the catalogue that have one to three things and an empty place."""
    out: list[Stage] = []
    for index in range(len(catalogue) - 1, -1, -1):
        stage = _stage(catalogue, index, rng)
        if stage is not None:
            out.append(stage)
        if len(out) == count:
            break
    return out


def trials(clean: list[Clean], scenes: list[Stage], images: int, rng: np.random.Generator) -> list[Trial]:
    """Each feature in every scope and strength on `images` scenes without its class, the same scenes for all of them."""
    out = []
    for c in clean:
        absent = [n for n, s in enumerate(scenes) if all(o.cls != c.cls for o in s.truth.scene.objects)]
        for n in rng.permutation(absent)[:images].tolist():
            for scope in SCOPES:
                out += [Trial(c.feature, c.cls, n, scope, s, scenes[n].cells(scope)[1]) for s in STRENGTHS]
    return out


def pick(clean: list[Clean], maximum: npt.NDArray[np.float64], count: int) -> list[Clean]:
    """At most one feature a class, the purest and then the strongest, so that no class counts twice; classes in order of index."""
    best: dict[int, Clean] = {}
    for c in sorted(clean, key=lambda c: (-c.purity, -maximum[c.feature])):
        best.setdefault(c.cls, c)
    order = sorted(best.values(), key=lambda c: c.cls)
    if len(order) <= count:
        return order
    return [order[int(i)] for i in np.linspace(0, len(order) - 1, count).round()]


def names(text: str, cls: int) -> bool:
    """Whether a caption names a thing of the class; of one that is no sentence, whether the class's word stands in it."""
    parsed = parse_caption(text)
    if parsed is not None:
        return any(entity.cls == cls for entity, _ in parsed[0])
    return CLASSES[cls].name in text.split()


def placed(text: str, trial: Trial) -> bool:
    """Whether a caption names the trial's class in the trial's place."""
    parsed = parse_caption(text)
    return parsed is not None and any(entity.cls == trial.cls and place == trial.place for entity, place in parsed[0])


def well_formed(text: str) -> bool:
    """Whether a caption follows the grammar that the model was taught."""
    return parse_caption(text) is not None


def share(k: int, n: int) -> Share:
    """A share with its count and 95 % interval (Wilson)."""
    low, high = wilson(k, n)
    return {"share": k / n if n else 0.0, "n": n, "low": low, "high": high}
