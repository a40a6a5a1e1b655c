"""What a cache found, as a bundle: the same files that `facet import` reads and that explaining and scoring begin from."""

from __future__ import annotations

import datetime
import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from facet_worker.batch import Served
from facet_worker.bundle import SCHEMAS, BundleImage, DictionaryPart, Text, write_bundle
from facet_worker.cache import FeatureCache
from facet_worker.decoder import layer_of
from facet_worker.dictionaries import Dictionary
from facet_worker.examples import Examples
from facet_worker.feature_state import FeatureState
from facet_worker.neighbours import coactive_of_draw, nearest_decoder
from facet_worker.pipeline.files import disk_errors
from facet_worker.pipeline.pictures import Picture, upright
from facet_worker.pipeline.progress import Progress
from facet_worker.pipeline.run_folder import versions
from facet_worker.torch_engine import TorchEngine

# Beyond so many products a processor takes minutes; an import makes the decoder's neighbours itself.
_MOST_PRODUCTS = 4e12


@dataclass
class Found:
    """What one dictionary's part of a bundle is made of."""

    served: Served
    cache: FeatureCache
    neighbours: pa.Table
    tokens: pa.Table


def neighbours(state: FeatureState, sae: Dictionary, alive: Any) -> pa.Table:
    """Rows of neighbours.parquet: features that fire together, and those that write alike where that many products can be made here."""
    kinds = {"coactive": coactive_of_draw(state.tokens, state.latents, alive)}
    if sae.w_dec.is_cuda or float(sae.num_latents) ** 2 * sae.width <= _MOST_PRODUCTS:
        kinds["decoder"] = nearest_decoder(sae.w_dec, alive)
    schema = SCHEMAS["neighbours"]
    tables = [
        pa.table({**columns, "kind": pa.array([kind] * len(columns["index"]), pa.string())}).select(schema.names).cast(schema)
        for kind, columns in kinds.items()
    ]
    return pa.concat_tables(tables)


def webp(data: bytes, side: int, quality: int) -> tuple[bytes, int, int]:
    """A picture's file as WebP, upright, at most `side` pixels long: bytes, width, height."""
    picture = upright(data)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=quality, method=4)
    return out.getvalue(), *picture.size


class CacheBundle:
    """Writes a bundle without explanations and scores.

    Parameters
    ----------
    texts : token ids by picture, of those that were read with words
    """

    def __init__(
        self,
        engine: TorchEngine,
        attribution: str | None,
        pictures: Sequence[Picture],
        texts: dict[int, list[int]],
        side: int,
        quality: int,
    ) -> None:
        self.engine, self.attribution, self.pictures, self.texts = engine, attribution, pictures, texts
        self.side, self.quality = side, quality

    def _text(self, number: int) -> Text:
        codec, ids = self.engine.prompter.codec, self.texts[number]
        return Text([codec.markers.get(token) or codec.added(ids[:i], token) for i, token in enumerate(ids)], number)

    def _images(self, numbers: list[int], progress: Progress) -> Iterator[BundleImage]:
        """Pictures become copies one by one."""
        for number in numbers:
            progress.advance()
            picture = self.pictures[number]
            data, width, height = webp(picture.read(), self.side, self.quality)
            yield BundleImage(hashlib.sha256(data).hexdigest(), data, "image/webp", width, height, picture.name, picture.text or None)

    def _about(self, one: Found) -> dict[str, Any]:
        sae, stats, hook = one.served.sae, one.cache.stats, one.served.hook
        tokens = max(1, stats.image_tokens)
        metrics = {
            "explained_variance": None, "fvu": None, "l0": float(stats.active_tokens.sum() / tokens), "dead_share": float(stats.dead.mean()),
            "loss_recovered": None,
        }  # fmt: skip
        return {
            "id": hook, "hook": hook, "layer": layer_of(hook), "sha256": sae.sha256, "num_latents": sae.num_latents, "width": sae.width,
            "activation": sae.activation, "k": sae.k, "metrics": metrics, "images": len(self.pictures), "image_tokens": stats.image_tokens,
            "text_tokens": stats.text_tokens,
        }  # fmt: skip

    def write(self, folder: Path, found: Sequence[Found], made: dict[str, Any]) -> list[Path]:
        """The whole folder or nothing of it; answers its files. Throws `disk_full`."""
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        part.mkdir(parents=True)
        numbers = _shown([Examples.of(one.cache.examples) for one in found])
        model = self.engine.info()["model"]
        described = {
            "id": model["id"],
            "name": model["name"],
            "sha256": model["sha256"],
            "image_size": model["imageSize"],
            "grid": model["grid"],
        }
        parts = [DictionaryPart(self._about(one), one.cache, [], [], one.neighbours, one.tokens) for one in found]
        texts = {number: self._text(number) for number in self.texts if number in set(numbers)}
        about = {**made, "versions": versions(), "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
        progress = Progress("cache bundle", " pictures", len(numbers))
        try:
            with disk_errors(folder):
                write_bundle(part, described, self.attribution, self._images(numbers, progress), texts, parts, about, numbers)
                part.replace(folder)
        finally:
            progress.close()
            # What is left of it where it did not come to its end would fill the disk until the next run.
            shutil.rmtree(part, ignore_errors=True)
        return sorted(path for path in folder.rglob("*") if path.is_file())


def _shown(every: Sequence[Examples]) -> list[int]:
    """Numbers of the pictures that some example shows; a text has its picture's number."""
    columns = [np.unique(examples.columns["item"]) for examples in every]
    return [int(number) for number in np.unique(np.concatenate(columns))]
