"""Explain features from the demo's own data: by what the model says stands where they fire in whole pictures, and by the tokens they peak on.

Beside the pipeline's explainers (`demo.own_words`): a whole picture is what this model knows, while a darkened one is not, and it can be asked about a place.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from demo.catalogue import Catalogue
from demo.claims import background_claims, place_claims, place_of_cell, thing_claims
from demo.own_words import BACKGROUND
from demo.tasks import WORDINGS, place_phrase
from facet_worker.cache import FeatureCache
from facet_worker.checkpoint import Checkpoint
from facet_worker.explain import TOKENS, Agreement, Cell, Claim, Explanation, agree, explanation_of
from facet_worker.sae import TopKSae
from facet_worker.steer import Asker

TOP_PLACES = "top-places"
NEED_IMAGES = 0.8
BATCH = 48


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()


def _read(question: str, answer: str) -> frozenset[Claim]:
    return background_claims(answer) if question in BACKGROUND else thing_claims(answer)


def _cell(condition: str, questions: tuple[str, ...], answers: list[str]) -> Cell:
    return Cell(condition, tuple(_read(q, a) for q, a in zip(questions, answers, strict=True)), tuple(answers))


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
        out.append(explanation_of(int(f), TOP_PLACES, author, prompt, created, found, sentence))
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
    asker = Asker(checkpoint, layer, sae)
    alive = np.flatnonzero(~cache.stats.dead)
    rows = from_top_images(cache, alive, said, author)
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
