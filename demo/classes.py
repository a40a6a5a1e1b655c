"""What can appear in a scene: classes, their kinds, their drawings, colours and written words."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("animal", "food", "vehicle", "plant", "thing", "face", "flag", "letter", "shape", "word")


@dataclass(frozen=True)
class ObjectClass:
    """One class; `name` is one word of the vocabulary, `icon` its drawing's name in the art sets."""

    index: int
    name: str
    kind: str
    icon: str

    @property
    def concept(self) -> str:
        """The concept this class stands for in reports, as `kind:name`."""
        return f"{self.kind}:{self.name}"


# name or name=icon; an icon is named alike in every art set
_DRAWN = {
    "animal": (
        "dog=dog-face cat=cat-face mouse=mouse-face rabbit=rabbit-face fox bear panda koala tiger=tiger-face lion "
        "cow=cow-face pig=pig-face frog monkey=monkey-face penguin owl duck elephant zebra snake turtle octopus crab "
        "fish=tropical-fish whale=spouting-whale bee=honeybee butterfly snail spider giraffe"
    ),
    "food": (
        "apple=red-apple banana grapes strawberry watermelon lemon pear cherries pineapple tomato carrot "
        "corn=ear-of-corn broccoli mushroom bread cheese=cheese-wedge egg pizza burger=hamburger hotdog=hot-dog "
        "fries=french-fries taco doughnut cookie cake=birthday-cake avocado"
    ),
    "vehicle": (
        "car=automobile bus taxi ambulance firetruck=fire-engine tractor bicycle airplane helicopter rocket sailboat "
        "train=locomotive truck=delivery-truck skateboard"
    ),
    "plant": "tree=deciduous-tree cactus sunflower tulip rose palm=palm-tree clover=four-leaf-clover leaf=maple-leaf",
    "thing": (
        "house umbrella guitar drum trumpet key bell crown balloon gift=wrapped-gift camera phone=mobile-phone "
        "television bulb=light-bulb scissors hammer football=soccer-ball basketball trophy hat=top-hat shoe=running-shoe "
        "shirt=t-shirt chair sun moon=crescent-moon star cloud rainbow snowman fire ghost robot"
    ),
    "face": (
        "happy=smiling-face-with-smiling-eyes sad=frowning-face angry=pouting-face surprised=astonished-face "
        "sleepy=sleeping-face sick=nauseated-face laughing=face-with-tears-of-joy crying=loudly-crying-face "
        "loving=smiling-face-with-heart-eyes cool=smiling-face-with-sunglasses"
    ),
    "flag": "japan france germany italy ukraine sweden switzerland poland nigeria belgium",
    "letter": "b e f h k m r s t x",
    "shape": "heart circle square",
    "word": "sign",
}


def _classes() -> tuple[ObjectClass, ...]:
    out: list[ObjectClass] = []
    for kind in KINDS:
        for item in _DRAWN[kind].split():
            name, _, icon = item.partition("=")
            if kind in ("flag", "letter"):
                icon = f"{kind}-{name}"
            out.append(ObjectClass(len(out), name, kind, icon or name))
    return tuple(out)


CLASSES: tuple[ObjectClass, ...] = _classes()
CLASS_BY_NAME: dict[str, ObjectClass] = {c.name: c for c in CLASSES}
EMOTIONS: tuple[str, ...] = tuple(c.name for c in CLASSES if c.kind == "face")

SHAPE_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white")

# Written words; most are also names of classes, so that what is written can contradict what is drawn.
SIGN_WORDS = ("cat", "dog", "fish", "bus", "egg", "sun", "star", "bee", "car", "tree", "stop", "open", "exit", "love", "zoo", "go")

# Background word -> the sRGB values at its two ends when graded; flat ones use the first.
BACKGROUNDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "white": ((247, 247, 245), (228, 230, 232)),
    "grey": ((158, 162, 168), (128, 132, 140)),
    "black": ((34, 36, 42), (58, 60, 68)),
    "red": ((196, 74, 74), (222, 116, 110)),
    "orange": ((234, 148, 66), (244, 178, 104)),
    "yellow": ((242, 218, 110), (250, 234, 158)),
    "green": ((92, 156, 98), (140, 192, 136)),
    "blue": ((84, 132, 204), (132, 176, 228)),
    "purple": ((136, 96, 178), (172, 138, 206)),
    "pink": ((240, 164, 192), (248, 198, 214)),
    "brown": ((134, 98, 70), (168, 130, 98)),
}

PLACES = ("top-left", "top", "top-right", "left", "middle", "right", "bottom-left", "bottom", "bottom-right")


@dataclass(frozen=True)
class Entity:
    """A class together with the one attribute that changes how it looks (a shape's colour, a sign's text)."""

    cls: int
    colour: str | None = None
    text: str | None = None

    def sprite_name(self) -> str:
        """The drawing's name, e.g. `dog-face`, `red-heart`, `sign:stop`."""
        c = CLASSES[self.cls]
        if self.colour is not None:
            if c.name == "square" and self.colour in ("black", "white"):
                return f"{self.colour}-large-square"
            return f"{self.colour}-{c.name}"
        return f"sign:{self.text}" if self.text is not None else c.icon


def entities_of(cls: int) -> tuple[Entity, ...]:
    """Every entity of a class: one for most, one a colour for shapes, one a word for signs."""
    kind = CLASSES[cls].kind
    if kind == "shape":
        return tuple(Entity(cls, colour=c) for c in SHAPE_COLOURS)
    if kind == "word":
        return tuple(Entity(cls, text=t) for t in SIGN_WORDS)
    return (Entity(cls),)


ENTITIES: tuple[Entity, ...] = tuple(e for c in CLASSES for e in entities_of(c.index))
ENTITY_INDEX: dict[Entity, int] = {e: i for i, e in enumerate(ENTITIES)}
