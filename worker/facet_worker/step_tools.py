"""What the steps that explain and score share: which catalogues they read, the model that they study, and the tables that they write."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facet_worker.bundle import SCHEMAS
from facet_worker.catalogue import Catalogue
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.pipeline.cache_step import load_engine
from facet_worker.pipeline.files import read_json, written
from facet_worker.pipeline.steps import Context
from facet_worker.studied import StudiedModel
from facet_worker.torch_engine import TorchEngine


def catalogues(context: Context, bundle: str | None, wanted: Sequence[str] | None) -> list[Catalogue]:
    """The dictionaries to work on, of a named bundle or of what `cache` found in this run.

    Raises
    ------
    FacetError : `not_found` where nothing is named and `cache` is not finished, `bundle_invalid`, `dictionary_not_found`.
    """
    folder = context.settings.path(bundle) if bundle is not None else context.run.made("cache").folder / "bundle"
    try:
        names = [str(entry["id"]) for entry in read_json(folder / "manifest.json")["dictionaries"]]
    except (FileNotFoundError, KeyError, TypeError) as error:
        raise FacetError(f"{folder} has no manifest.json of a bundle.", "bundle_invalid", fix="Name a bundle's folder.") from error
    return [Catalogue(folder, name) for name in wanted or names]


def inputs_of(found: Sequence[Catalogue]) -> dict[str, str]:
    """SHA-256 of what the steps read, by name: the model's weights, each dictionary's, and what is known of each dictionary's features."""
    of: dict[str, str] = {}
    for one in found:
        of |= {one.dictionary: one.sha256, f"{one.dictionary}/catalogue": one.content_sha256}
        if one.model_sha256 is not None:
            of["model"] = one.model_sha256
    return of


def never_fired(catalogue: Catalogue, wanted: Collection[int] | None) -> int:
    """How many of the wanted features (all, where None) there is nothing to explain or score of, because they never fire."""
    every = range(catalogue.num_latents) if wanted is None else wanted
    return len(set(every)) - len(catalogue.indices(wanted))


class Models:
    """The studied model with all its dictionaries, loaded once and only where it is asked."""

    def __init__(self, context: Context, max_tokens: int, batch: int = 8) -> None:
        self.context, self.max_tokens, self.batch = context, max_tokens, batch
        self._engine: TorchEngine | None = None

    def studied(self, catalogue: Catalogue) -> StudiedModel:
        """With the catalogue's dictionary. Throws what loading throws, and `version_mismatch` where model or dictionary are others than those of the catalogue."""
        settings = self.context.settings
        if self._engine is None:
            self._engine = load_engine(settings)
        ref = f"{self._engine.model_id}/{catalogue.dictionary}"
        model = self._engine.info()["model"]["sha256"]
        if catalogue.model_sha256 not in (None, model):
            raise FacetError(
                f"The catalogue of {catalogue.dictionary} is of other weights of the model than those that are to run.",
                "version_mismatch",
                fix="Name the model that the catalogue was made with.",
            )
        found = self._engine.info(ref)["dictionary"]["sha256"]
        if found != catalogue.sha256:
            raise FacetError(
                f"The catalogue is of another dictionary at {catalogue.dictionary} than the one that the model is to run with.",
                "version_mismatch",
                fix="Name the dictionary that the catalogue was made with.",
            )
        return StudiedModel(self._engine, ref, self.max_tokens, self.batch)

    def side(self) -> int:
        """Of the square picture that the model reads, in pixels."""
        assert self._engine is not None
        return int(self._engine.info()["model"]["imageSize"])


def write_rows(name: str, rows: Sequence[Any], path: Path) -> Path:
    """Rows as one of the bundle's tables; whole or not at all."""
    schema = SCHEMAS[name]
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    with written(path) as part:
        pq.write_table(pa.table(columns, schema=schema), part, row_group_size=65_536)
    return path


def read_explanations(path: Path) -> list[Explanation]:
    """A bundle's or a step's explanations. Throws `bundle_invalid`."""
    try:
        table = pq.read_table(path, columns=SCHEMAS["explanations"].names)
    except (OSError, pa.ArrowException) as error:
        raise FacetError(f"{path} holds no explanations.", "bundle_invalid", fix="Explain the features first.") from error
    return [Explanation(**row) for row in table.to_pylist()]
