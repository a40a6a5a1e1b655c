"""Explain every feature of a dictionary by asking the demo model itself, both ways."""

from __future__ import annotations

import datetime
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from demo.catalogue import Catalogue, downsample
from demo.claims import background_claims, place_claims, place_of_cell, thing_claims
from demo.tasks import WORDINGS, place_phrase
from demo.world import IMAGE_PX, blank_scene, render
from facet_worker.cache import FeatureCache
from facet_worker.checkpoint import Checkpoint
from facet_worker.explain import CAUSAL, TOKENS, TOP_IMAGES, Agreement, Cell, Claim, Explanation, agree, explanation_of
from facet_worker.sae import TopKSae
from facet_worker.steer import Asker

STRENGTHS = (2.0, 4.0, 8.0)
NAMING = WORDINGS["name"][
    :2
]  # asked what is in a place, the model answers "nothing" of a blank picture, clamped or not; asked for a name, it names
BACKGROUND = tuple(w.format("background") for w in (WORDINGS["colour"][0], WORDINGS["colour"][3]))
NEED_IMAGES = 0.8
BATCH = 48


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()


def blank_pixels(word: str = "grey") -> np.ndarray:
    """A blank picture as the model sees it, uint8 [96, 96, 3]."""
    return downsample(Image.fromarray(render(blank_scene(word), IMAGE_PX)))


def _read(question: str, answer: str) -> frozenset[Claim]:
    return background_claims(answer) if question in BACKGROUND else thing_claims(answer)


def _cell(condition: str, questions: tuple[str, ...], answers: list[str]) -> Cell:
    return Cell(condition, tuple(_read(q, a) for q, a in zip(questions, answers, strict=True)), tuple(answers))


def _times(strength: float) -> str:
    return f"{strength:g}×"


def causal(asker: Asker, features: np.ndarray, maximum: np.ndarray, author: str, log: Callable[[str], None]) -> list[Explanation]:
    """Clamp each feature on every patch of a blank picture at several strengths and ask for the name of what is seen and of the background."""
    blank = asker.read(blank_pixels()[None])
    questions = (*NAMING, *BACKGROUND)
    calm = asker.open(blank.hidden)
    known = frozenset(claim for q in questions for claim in _read(q, asker.ask(blank.low, calm, q)[0]))
    jobs = [(f, s) for f in features for s in STRENGTHS]
    answers: dict[tuple[int, float], list[str]] = {}
    everywhere = torch.ones(1, asker.checkpoint.grid**2, dtype=torch.bool)
    for start in range(0, len(jobs), BATCH):
        part = jobs[start : start + BATCH]
        n = len(part)
        rows = blank.rows(torch.zeros(n, dtype=torch.long))
        values = torch.tensor([s * maximum[f] for f, s in part], dtype=torch.float32)
        with torch.inference_mode():
            hidden = asker.set_on_cells(rows.hidden, torch.tensor([int(f) for f, _ in part]), values, everywhere.expand(n, -1))
        up = asker.open(hidden)
        said = [asker.ask(rows.low, up, q) for q in questions]
        for i, job in enumerate(part):
            answers[job] = [column[i] for column in said]
        if start // BATCH % 20 == 0:
            log(f"causal {start} of {len(jobs)}")
    created = _now()
    prompt = " ".join(questions)

    def sentence(a: Agreement) -> str:
        return f"Clamped on every patch of a blank grey picture at {' and '.join(a.conditions)} its maximum, it makes the model see: {a.claim.label}."

    out = []
    for f in features:
        cells = [_cell(_times(s), questions, answers[f, s]) for s in STRENGTHS]
        out.append(explanation_of(int(f), CAUSAL, author, prompt, created, agree(cells, known, 0.0, 2, wordings=2), sentence))
    return out


Said = dict[tuple[int, str], tuple[tuple[str, str], ...]]  # (image, place or `background`) → (question, answer) in each wording


def wanted_places(caches: list[FeatureCache]) -> dict[int, set[str]]:
    """Which places of which images have to be asked about: those where some feature fires most in a top image."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for cache in caches:
        for bands in cache.examples:
            for e in bands["top"]:
                wanted[e.item].add(place_of_cell(int(e.positions[e.values.argmax()])))
    return wanted


def describe_places(asker: Asker, catalogue: Catalogue, wanted: dict[int, set[str]], log: Callable[[str], None]) -> Said:
    """Ask the model, with no clamp, what is in each wanted place, and of each image's background its colour."""
    out: Said = {}
    order = sorted(wanted)
    for start in range(0, len(order), BATCH):
        images = order[start : start + BATCH]
        prefix = asker.read(catalogue.pixels[images])
        up = asker.open(prefix.hidden)
        places = sorted({p for i in images for p in wanted[i]})
        for place in (*places, "background"):
            rows = torch.tensor([r for r, i in enumerate(images) if place == "background" or place in wanted[i]])
            low, high = [c[rows] for c in prefix.low], [c[rows] for c in up]
            questions = BACKGROUND if place == "background" else tuple(w.format(place_phrase(place)) for w in WORDINGS["what_at"][:2])
            said = [asker.ask(low, high, q) for q in questions]
            for n, r in enumerate(rows.tolist()):
                out[images[r], place] = tuple((q, column[n]) for q, column in zip(questions, said, strict=True))
        if start // BATCH % 20 == 0:
            log(f"described {start} of {len(order)} images")
    return out


def save_said(said: Said, path: Path) -> None:
    """Write what was said."""
    path.write_text(json.dumps([[image, place, pairs] for (image, place), pairs in said.items()]))


def load_said(paths: list[Path]) -> Said:
    """Read what was said, from several files."""
    rows = [row for path in paths for row in json.loads(path.read_text())]
    return {(image, place): tuple((q, a) for q, a in pairs) for image, place, pairs in rows}


def from_top_images(cache: FeatureCache, features: np.ndarray, said: Said, author: str) -> list[Explanation]:
    """What the model says is in each top image at the place where the feature fires most, and what its background is."""
    created = _now()
    prompt = " ".join((*(w.format("<where it fires most>") for w in WORDINGS["what_at"][:2]), *BACKGROUND))

    def sentence(a: Agreement) -> str:
        subject = (
            "the background" if a.claim.kind == "background" else "the place" if a.claim.kind == "place" else "what stands where it fires"
        )
        return f"In {len(a.conditions)} of its {a.of} top images {subject} is, in the model's words: {a.claim.label}."

    out = []
    for f in features:
        cells = []
        for e in cache.examples[f]["top"]:
            place = place_of_cell(int(e.positions[e.values.argmax()]))
            pairs = (*said[e.item, place], *said[e.item, "background"])
            claims = [_read(q, a) for q, a in pairs]
            # the place itself needs no asking; it counts for both wordings
            claims = [c | place_claims(place) if i < 2 else c for i, c in enumerate(claims)]
            cells.append(Cell(f"image {e.item}", tuple(claims), tuple(a for _, a in pairs)))
        found = agree(cells, frozenset(), NEED_IMAGES, min(3, max(1, len(cells))), wordings=2)
        out.append(explanation_of(int(f), TOP_IMAGES, author, prompt, created, found, sentence))
    return out


def from_tokens(cache: FeatureCache, features: np.ndarray, texts: list[list[str]]) -> list[Explanation]:
    """For features of the text: the token on which they peak, or what is written right behind it, when top texts agree."""
    created, out = _now(), []
    for f in features:
        examples = cache.examples[f]["text"]
        at, after = Counter[str](), Counter[str]()
        for e in examples:
            peak = int(e.positions[e.values.argmax()])
            tokens = texts[e.item]
            at[tokens[peak].strip()] += 1
            if peak + 1 < len(tokens):
                after[tokens[peak + 1].strip()] += 1
        need = max(2, round(0.8 * len(examples)))
        (word, count), (following, count_after) = at.most_common(1)[0], (after.most_common(1) or [("", 0)])[0]
        found: Agreement | str
        if word.startswith("<") and count_after >= need:
            found = Agreement(
                Claim("next", following, f"before “{following}”", "text", 6), tuple(str(i) for i in range(count_after)), len(examples)
            )
        elif count >= need:
            found = Agreement(
                Claim("token", word, f"the word “{word}”" if not word.startswith("<") else f"the mark {word}", "text", 6),
                tuple(str(i) for i in range(count)),
                len(examples),
            )
        elif count_after >= need:
            found = Agreement(
                Claim("next", following, f"before “{following}”", "text", 6), tuple(str(i) for i in range(count_after)), len(examples)
            )
        else:
            found = f"Its top texts peak on different tokens; {word!r} comes in {count} of {len(examples)}, which is the most."

        def sentence(a: Agreement) -> str:
            where = f"right before “{a.claim.value}”" if a.claim.kind == "next" else f"on {a.claim.label}"
            return f"In {len(a.conditions)} of its {a.of} top texts it fires most {where}."

        out.append(explanation_of(int(f), TOKENS, "facet-worker", "", created, found, sentence))
    return out


def explain_dictionary(
    checkpoint: Checkpoint, layer: int, sae: TopKSae, cache: FeatureCache, catalogue: Catalogue, said: Said, author: str, path: Path
) -> int:
    """Explain every living feature; writes the rows to `path` and answers how many there are."""

    def log(line: str) -> None:
        print(f"[model.layers.{layer}] {line}", flush=True)

    asker = Asker(checkpoint, layer, sae)
    alive = np.flatnonzero(~cache.stats.dead)
    rows = causal(asker, alive, cache.stats.max_activation, author, log)
    rows += from_top_images(cache, alive, said, author)
    textual = np.array([f for f in alive if not cache.stats.image_share[f] > 0.5 and cache.examples[int(f)]["text"]], np.int64)
    lead = asker.prefix_ids[: asker.lead]
    rows += from_tokens(cache, textual, [text.tokens for text in catalogue.texts(checkpoint, lead)])
    save_explanations(rows, path)
    return len(rows)


def save_explanations(rows: list[Explanation], path: Path) -> None:
    """Write rows with their claims."""
    path.write_text(json.dumps([asdict(row) for row in rows]))


def load_explanations(path: Path) -> list[Explanation]:
    """Read what `save_explanations` wrote."""
    out = []
    for row in json.loads(path.read_text()):
        claim = Claim(**row.pop("claim")) if row["claim"] else row.pop("claim")
        out.append(Explanation(**row, claim=claim))
    return out
