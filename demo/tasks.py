"""What can be asked of a scene: questions in several wordings with their exact answers, captions and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from demo.classes import BACKGROUNDS, CLASSES, EMOTIONS, ENTITIES, PLACES, SHAPE_COLOURS, Entity
from demo.world import ObjectTruth, Scene

TASKS = ("caption", "count", "colour", "background", "place", "what_at", "beside", "presence", "name", "emotion", "read", "chat")

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
KIND_PLURALS = {
    "animal": "animals", "food": "foods", "vehicle": "vehicles", "plant": "plants", "face": "faces", "flag": "flags",
    "letter": "letters", "shape": "shapes", "word": "signs",
}  # fmt: skip

WORDINGS: dict[str, tuple[str, ...]] = {
    "caption": (
        "what do you see ?",
        "describe the picture .",
        "what is in the picture ?",
        "what does the picture show ?",
        "describe what you see .",
    ),
    "count": ("how many {} are there ?", "how many {} do you see ?", "count the {} .", "how many {} are in the picture ?"),
    "colour": ("what colour is the {} ?", "which colour is the {} ?", "what is the colour of the {} ?", "name the colour of the {} ."),
    "place": ("where is the {} ?", "where do you see the {} ?", "find the {} .", "in which place is the {} ?"),
    "what_at": ("what is {} ?", "what do you see {} ?", "name the object {} .", "which object is {} ?"),
    "beside": (
        "what is to the {1} of the {0} ?",
        "what is {1} of the {0} ?",
        "which object is to the {1} of the {0} ?",
        "what do you see to the {1} of the {0} ?",
    ),
    "presence": ("is there {} ?", "do you see {} ?", "is there {} in the picture ?", "does the picture show {} ?"),
    "name": ("what is this ?", "name the object .", "which object is this ?", "what object do you see ?"),
    "emotion": ("how does the face feel ?", "what does the face feel ?", "how is the face feeling ?", "name the emotion of the face ."),
    "read": ("what does the sign say ?", "read the sign .", "what is written on the sign ?", "which word is on the sign ?"),
    "beside_it": ("and what is to its {} ?", "what is to its {} ?", "and to its {} ?", "what do you see to its {} ?"),
    "where_it": ("where is it ?", "and where is it ?", "in which place is it ?", "and where do you see it ?"),
}

# How often a task is asked in training, before those that a scene cannot answer are dropped.
TRAIN_WEIGHTS = {
    "count": 1.2, "colour": 0.8, "background": 0.35, "place": 4.0, "what_at": 2.0, "beside": 2.6, "presence": 4.0, "name": 0.8,
    "emotion": 0.7, "read": 1.0, "chat": 1.2,
}  # fmt: skip


@dataclass(frozen=True)
class Chat:
    """One conversation about a scene: its task and its turns of (question, answer), words parted by single spaces."""

    task: str
    turns: tuple[tuple[str, str], ...]


def entity_phrase(e: Entity) -> str:
    """A thing's noun phrase without its article, e.g. `dog`, `red heart`, `happy face`, `flag of japan`."""
    c = CLASSES[e.cls]
    if e.colour is not None:
        return f"{e.colour} {c.name}"
    if e.text is not None:
        return f"sign that says {e.text}"
    return {"face": f"{c.name} face", "flag": f"flag of {c.name}", "letter": f"letter {c.name}"}.get(c.kind, c.name)


def with_article(phrase: str) -> str:
    """`a` or `an` and the phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def place_phrase(place: str) -> str:
    """`at the top-left`, `in the middle`."""
    return f"{'in' if place == 'middle' else 'at'} the {place}"


def _shown(o: ObjectTruth) -> str:
    return with_article(entity_phrase(o.entity))


def _reading_order(scene: Scene) -> list[ObjectTruth]:
    return sorted(scene.objects, key=lambda o: PLACES.index(o.place))


def caption(scene: Scene) -> str:
    """The scene in one sentence: its objects in reading order with their places, then its background."""
    things = [f"{_shown(o)} {place_phrase(o.place)}" for o in _reading_order(scene)]
    listed = "nothing" if not things else things[0] if len(things) == 1 else " , ".join(things[:-1]) + " and " + things[-1]
    return f"{listed} on {with_article(scene.background.word)} background"


_PHRASES = {entity_phrase(e): e for e in ENTITIES}


def parse_caption(text: str) -> tuple[list[tuple[Entity, str]], str | None] | None:
    """A caption's things with their places and its background word; None when it is not a well-formed caption."""
    head, sep, tail = text.replace(",", " , ").strip().rpartition(" on a")
    words = tail.split()
    if not sep or len(words) < 2 or words[-1] != "background":
        return None
    background = words[-2]
    head = " ".join(head.split())
    if head == "nothing":
        return [], background
    out: list[tuple[Entity, str]] = []
    for part in head.replace(" and ", " , ").split(" , "):
        body, mid, place = part.partition(" at the ")
        if not mid:
            body, mid, place = part.partition(" in the ")
        article, _, phrase = body.strip().partition(" ")
        entity = _PHRASES.get(phrase)
        if not mid or article not in ("a", "an") or entity is None or place.strip() not in PLACES:
            return None
        out.append((entity, place.strip()))
    return out, background


def _pick(items: Sequence[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]


def _definite(o: ObjectTruth, scene: Scene, rng: np.random.Generator) -> str:
    """A phrase that means this object alone: short (`heart`, `face`, `sign`) when that is enough, else whole."""
    short = {"shape": o.name, "face": "face", "word": "sign"}.get(o.kind)
    if short is not None:
        alike = sum((p.kind == "face") if o.kind == "face" else (p.cls == o.cls) for p in scene.objects)
        if alike == 1 and (o.kind == "word" or rng.random() < 0.4):
            return short
    return entity_phrase(o.entity)


def neighbour(scene: Scene, o: ObjectTruth, side: str) -> ObjectTruth | None:
    """The nearest object in the same row on that side (`left` or `right`)."""
    index = PLACES.index(o.place)
    row, column = divmod(index, 3)
    step = -1 if side == "left" else 1
    by_place = {p.place: p for p in scene.objects}
    for c in range(column + step, 3 if step > 0 else -1, step):
        found = by_place.get(PLACES[row * 3 + c])
        if found is not None:
            return found
    return None


def _count(scene: Scene, rng: np.random.Generator) -> Chat | None:
    if rng.random() < 0.5:
        what, n = ("things", "objects")[int(rng.integers(2))], len(scene.objects)
    else:
        kinds = list(KIND_PLURALS)
        present = [o.kind for o in scene.objects if o.kind in KIND_PLURALS]
        kind = _pick(present, rng) if present and rng.random() < 0.75 else _pick(kinds, rng)
        what, n = KIND_PLURALS[kind], sum(o.kind == kind for o in scene.objects)
    return Chat("count", ((_pick(WORDINGS["count"], rng).format(what), NUMBERS[n]),))


def _colour(scene: Scene, rng: np.random.Generator) -> Chat | None:
    shapes = [o for o in scene.objects if o.kind == "shape" and sum(p.cls == o.cls for p in scene.objects) == 1]
    if not shapes:
        return None
    o = shapes[int(rng.integers(len(shapes)))]
    return Chat("colour", ((_pick(WORDINGS["colour"], rng).format(o.name), str(o.colour)),))


def _background(scene: Scene, rng: np.random.Generator) -> Chat | None:
    return Chat("background", ((_pick(WORDINGS["colour"], rng).format("background"), scene.background.word),))


def _any(scene: Scene, rng: np.random.Generator) -> ObjectTruth | None:
    return scene.objects[int(rng.integers(len(scene.objects)))] if scene.objects else None


def _place(scene: Scene, rng: np.random.Generator) -> Chat | None:
    o = _any(scene, rng)
    return None if o is None else Chat("place", ((_pick(WORDINGS["place"], rng).format(_definite(o, scene, rng)), o.place),))


def _what_at(scene: Scene, rng: np.random.Generator) -> Chat | None:
    o = _any(scene, rng)
    place = o.place if o is not None and rng.random() < 0.8 else _pick(PLACES, rng)
    found = next((p for p in scene.objects if p.place == place), None)
    return Chat("what_at", ((_pick(WORDINGS["what_at"], rng).format(place_phrase(place)), _shown(found) if found else "nothing"),))


def _beside_case(scene: Scene, rng: np.random.Generator) -> tuple[ObjectTruth, str, str] | None:
    """An object, a side and what is there; three in four times something, where the scene has such a pair."""
    cases = [(o, side, neighbour(scene, o, side)) for o in scene.objects for side in ("left", "right")]
    full = [c for c in cases if c[2] is not None]
    if not cases:
        return None
    pool = full if full and rng.random() < 0.75 else cases
    if not full and rng.random() < 0.6:
        return None
    o, side, found = pool[int(rng.integers(len(pool)))]
    return o, side, _shown(found) if found else "nothing"


def _beside(scene: Scene, rng: np.random.Generator) -> Chat | None:
    case = _beside_case(scene, rng)
    if case is None:
        return None
    o, side, answer = case
    return Chat("beside", ((_pick(WORDINGS["beside"], rng).format(_definite(o, scene, rng), side), answer),))


_BY_KIND = {k: [e for e in ENTITIES if CLASSES[e.cls].kind == k] for k in {c.kind for c in CLASSES}}


def _absent(scene: Scene, rng: np.random.Generator) -> Entity:
    """A thing not there: half the time the nearest confusion (same kind as something there), else anything."""
    present = {o.entity for o in scene.objects}
    while True:
        if scene.objects and rng.random() < 0.6:
            pool = _BY_KIND[scene.objects[int(rng.integers(len(scene.objects)))].kind]
        else:
            pool = _BY_KIND[CLASSES[int(rng.integers(len(CLASSES)))].kind]
        e = pool[int(rng.integers(len(pool)))]
        if e not in present:
            return e


def _presence(scene: Scene, rng: np.random.Generator) -> Chat | None:
    o = _any(scene, rng)
    yes = o is not None and rng.random() < 0.5
    e = o.entity if o is not None and yes else _absent(scene, rng)
    phrase = entity_phrase(e)
    if e.text is not None and rng.random() < 0.3:  # any sign at all
        phrase, yes = "sign", any(p.kind == "word" for p in scene.objects)
    return Chat("presence", ((_pick(WORDINGS["presence"], rng).format(with_article(phrase)), "yes" if yes else "no"),))


def _name(scene: Scene, rng: np.random.Generator) -> Chat | None:
    return Chat("name", ((_pick(WORDINGS["name"], rng), _shown(scene.objects[0])),)) if len(scene.objects) == 1 else None


def _emotion(scene: Scene, rng: np.random.Generator) -> Chat | None:
    faces = [o for o in scene.objects if o.kind == "face"]
    return Chat("emotion", ((_pick(WORDINGS["emotion"], rng), str(faces[0].emotion)),)) if len(faces) == 1 else None


def _read(scene: Scene, rng: np.random.Generator) -> Chat | None:
    signs = [o for o in scene.objects if o.kind == "word"]
    return Chat("read", ((_pick(WORDINGS["read"], rng), str(signs[0].text)),)) if len(signs) == 1 else None


def _caption(scene: Scene, rng: np.random.Generator) -> Chat | None:
    return Chat("caption", ((_pick(WORDINGS["caption"], rng), caption(scene)),))


def _chat(scene: Scene, rng: np.random.Generator) -> Chat | None:
    """Two turns, the second about what the first found: its place, or what stands beside it."""
    case = _beside_case(scene, rng)
    if case is None:
        return None
    o, side, answer = case
    beside = _pick(WORDINGS["beside_it"], rng).format(side)
    form = int(rng.integers(4))
    if form == 0:
        return Chat("chat", ((_pick(WORDINGS["place"], rng).format(_definite(o, scene, rng)), o.place), (beside, answer)))
    if form == 1:
        first = _pick(WORDINGS["presence"], rng).format(_shown(o))
        if rng.random() < 0.5:
            return Chat("chat", ((first, "yes"), (_pick(WORDINGS["where_it"], rng), o.place)))
        return Chat("chat", ((first, "yes"), (beside, answer)))
    first = _pick(WORDINGS["what_at"], rng).format(place_phrase(o.place))
    if form == 2 or answer == "nothing":
        return Chat("chat", ((first, _shown(o)), (beside, answer)))
    found = neighbour(scene, o, side)
    assert found is not None
    opening = _pick(WORDINGS["beside"], rng).format(_definite(o, scene, rng), side)
    return Chat("chat", ((opening, answer), (_pick(WORDINGS["where_it"], rng), found.place)))


_ASK: dict[str, Callable[[Scene, np.random.Generator], Chat | None]] = {
    "caption": _caption, "count": _count, "colour": _colour, "background": _background, "place": _place, "what_at": _what_at,
    "beside": _beside, "presence": _presence, "name": _name, "emotion": _emotion, "read": _read, "chat": _chat,
}  # fmt: skip


def ask(scene: Scene, task: str, rng: np.random.Generator) -> Chat | None:
    """One conversation of a task about a scene, or None where the scene does not answer such a question."""
    return _ASK[task](scene, rng)


def all_words() -> list[str]:
    """Every word that a question or an answer can hold, sorted."""
    words: set[str] = set(NUMBERS) | set(KIND_PLURALS.values()) | set(PLACES) | set(EMOTIONS) | set(SHAPE_COLOURS)
    words |= {"yes", "no", "nothing", "things", "objects", "on", "and", ",", "background", "a", "an", "at", "in", "the", "left", "right"}
    for e in ENTITIES:
        words |= set(entity_phrase(e).split())
    for texts in WORDINGS.values():
        for text in texts:
            words |= {w for w in text.split() if not w.startswith("{")}
    return sorted(words | set(BACKGROUNDS))
