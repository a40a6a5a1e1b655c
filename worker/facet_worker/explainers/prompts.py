"""What is asked, and how an answer is read. What does not follow the form is a failure with a cause; nothing is guessed from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CONCEPTS = ("scene", "object", "part", "material", "texture", "colour", "emotion", "text", "position", "action", "other")

MARK = "[EXPLANATION]:"
UNABLE = "Unable to produce descriptions"

_FORM = (
    f"Think it over in a few sentences if you need to. Then write {MARK} and behind it one or two plain sentences that say what it is. "
    f"If you find nothing, write {MARK} {UNABLE}."
)

TOP_IMAGES = (
    "A unit inside a vision-language model is active in some places of a picture and silent in others. Above are the {count} pictures on which it is most "
    "active; wherever it is silent they are darkened. Say what the visible places have in common: a thing, a part of one, a scene, a material, a texture, "
    "a colour, an emotion, a written text, a position or an action. Look only at what is visible, and be concrete. "
) + _FORM

BOTH = (
    "A unit inside a vision-language model is active in some places of a picture and silent in others. Above are the {count} pictures on which it is most "
    "active; wherever it is silent they are darkened. The unit was also switched on by hand while the same model looked at an empty picture, and the model "
    "was asked what it sees. Without the unit it answered: {plain}\nWith the unit it answered, from a weak to a strong setting:\n{answers}\n"
    "These answers can be wrong; where they fit what is visible, they tell what the unit stands for. Say what it stands for, concretely. "
) + _FORM

CAUSAL = "What do you see in this image?"

REFINE = (
    "Somebody explained what a unit inside a vision-language model responds to:\n{text}\n"
    "Answer in two lines. First [LABEL]: and a name for it of at most five words, without a full stop. Then [CONCEPT]: and the one word of these that fits "
    f"best: {', '.join(CONCEPTS)}."
)

LONGEST_LABEL = 8
"""Words; five were asked for, and a few more are still a label."""


@dataclass(frozen=True)
class Unread:
    """Why an answer could not be read: a cause (`unable`, `off_format`, `cut_off`) and a sentence with what was said."""

    cause: str
    sentence: str


def quoted(text: str, most: int = 160) -> str:
    """A text on one line, shortened, in quotes."""
    flat = " ".join(text.split())
    return f"“{flat if len(flat) <= most else flat[: most - 1] + '…'}”"


def read_explanation(text: str, finish: str | None) -> str | Unread:
    """The words behind the last `[EXPLANATION]:`."""
    before, mark, behind = text.rpartition(MARK)
    said = " ".join(behind.split()).strip("*_ ")
    if not mark and UNABLE.lower() in text.lower():
        return Unread("unable", "The explainer was unable to produce a description.")
    if UNABLE.lower() in said.lower():
        return Unread("unable", "The explainer was unable to produce a description.")
    if finish == "length":
        return Unread("cut_off", f"The explainer's answer was cut off: {quoted(text)}.")
    if not mark:
        return Unread("off_format", f"The explainer's answer has no {MARK} {quoted(text)}.")
    if not said:
        return Unread("off_format", f"The explainer wrote nothing behind {MARK} {quoted(before)}.")
    return said


def read_refinement(text: str, finish: str | None) -> tuple[str, str] | Unread:
    """Label and concept class."""
    label = re.search(r"^\W*\[LABEL\]\s*:[*_ ]*(.+?)[*_ ]*$", text, re.MULTILINE)
    concept = re.search(r"^\W*\[CONCEPT\]\s*:[*_ ]*(\w+)\W*$", text, re.MULTILINE)
    if not label or not concept:
        cause = "cut_off" if finish == "length" else "off_format"
        return Unread(cause, f"The refiner's answer has no label and concept in the form that was asked for: {quoted(text)}.")
    words = label.group(1).strip(" .\"'“”")
    found = concept.group(1).lower().replace("color", "colour")
    if not words or len(words.split()) > LONGEST_LABEL:
        return Unread("off_format", f"The refiner's label is none: {quoted(label.group(1))}.")
    if found not in CONCEPTS:
        return Unread("off_format", f"The refiner's concept is none of the classes: {quoted(concept.group(1))}.")
    return words, found


def listed(answers: Sequence[tuple[str, str]]) -> str:
    """Answers at growing strengths as lines."""
    return "\n".join(f"- {condition}: {quoted(text)}" for condition, text in answers)
