"""What the steps that explain and score share: which catalogues they read, the model that they study, and the tables that they write."""

from __future__ import annotations

from collections.abc import Sequence
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


class Models:
    """The studied model with all its dictionaries, loaded once and only where it is asked."""

    def __init__(self, context: Context, max_tokens: int, batch: int = 8) -> None:
        self.context, self.max_tokens, self.batch = context, max_tokens, batch
        self._engine: TorchEngine | None = None

    def studied(self, catalogue: Catalogue) -> StudiedModel:
        """With the catalogue's dictionary. Throws what loading throws, and `version_mismatch` where it is another one than that of the catalogue."""
        settings = self.context.settings
        if self._engine is None:
            self._engine = load_engine(settings)
        ref = f"{self._engine.model_id}/{catalogue.dictionary}"
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
