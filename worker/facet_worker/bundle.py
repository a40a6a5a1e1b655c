"""Write and check a bundle: the folder of Parquet files that `facet import` reads (docs/formats.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facet_worker.cache import Example, FeatureCache, FeatureStats
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.neighbours import Neighbour
from facet_worker.sae import file_sha256
from facet_worker.score import Score
from facet_worker.tokens import TokenWeight

FORMAT = "facet-bundle/1"
IMAGE_BANDS = ("top", "upper", "middle", "lower", "random")

#: A reader holds one row group at a time: few pictures, many rows of numbers.
IMAGE_ROWS, OTHER_ROWS = 256, 65_536

_S, _I32, _I16, _F32, _F64, _I64, _B = pa.string(), pa.int32(), pa.int16(), pa.float32(), pa.float64(), pa.int64(), pa.bool_()


def _schema(required: dict[str, pa.DataType], nullable: dict[str, pa.DataType] | None = None) -> pa.Schema:
    fields = [pa.field(n, t, nullable=False) for n, t in required.items()] + [pa.field(n, t) for n, t in (nullable or {}).items()]
    return pa.schema(fields)


SCHEMAS: dict[str, pa.Schema] = {
    "images": _schema({"sha256": _S, "bytes": pa.binary(), "mime": _S, "width": _I32, "height": _I32}, {"source": _S, "caption": _S}),
    "texts": _schema({"id": _I32, "tokens": pa.list_(_S)}, {"image": _S}),
    "features": _schema(
        {
            "index": _I32, "density": _F64, "text_density": _F64, "max_activation": _F32, "mean_activation": _F32, "images": _I32, "active_tokens": _I64,
            "dead": _B, "always_on": _B, "sink": _B, "hist_counts": pa.list_(_I64),
        },
        {"image_share": _F64},
    ),
    "activations": _schema(
        {"index": _I32, "band": _S, "rank": _I16, "rows": _I16, "cols": _I16, "peak": _F32, "mean": _F32, "positions": pa.binary(), "values": pa.binary()},
        {"image": _S, "text": _I32},
    ),
    "explanations": _schema(
        {"index": _I32, "method": _S, "author": _S, "created_at": _S, "preferred": _B}, {"text": _S, "label": _S, "concept": _S, "failure": _S, "prompt": _S}
    ),
    "scores": _schema({"index": _I32, "explanation": _S, "metric": _S, "n": _I32, "method": _S}, {"value": _F64, "baseline": _F64, "failure": _S}),
    "neighbours": _schema({"index": _I32, "kind": _S, "rank": _I16, "neighbour": _I32, "value": _F32}),
    "tokens": _schema({"index": _I32, "kind": _S, "rank": _I16, "token": _S, "value": _F32}),
}  # fmt: skip


@dataclass(frozen=True)
class BundleImage:
    """One encoded image."""

    sha256: str
    data: bytes
    mime: str
    width: int
    height: int
    source: str | None
    caption: str | None


@dataclass(frozen=True)
class DictionaryPart:
    """Everything a bundle says about one dictionary.

    Attributes
    ----------
    about : the dictionary's entry in the manifest, without `folder`
    cache, explanations, scores, neighbours, tokens : what its Parquet files hold
    """

    about: dict[str, Any]
    cache: FeatureCache
    explanations: list[Explanation]
    scores: list[Score]
    neighbours: list[Neighbour]
    tokens: list[TokenWeight]


@dataclass(frozen=True)
class Text:
    """A token string as shown, and the number of the image before it."""

    tokens: list[str]
    image: int


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _write(table: pa.Table, path: Path, raw: tuple[str, ...] = ()) -> None:
    """Snappy, dictionary-encoded where that helps; columns in `raw` (already compressed or unique) as they are. Small groups where pictures are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = table.schema.names
    codec = {name: "NONE" if name in raw else "SNAPPY" for name in names}
    plain = {"bytes", "positions", "values"}
    rows = IMAGE_ROWS if "bytes" in names else OTHER_ROWS
    pq.write_table(
        table, path, compression=codec, use_dictionary=[n for n in names if n not in plain], write_statistics=False, row_group_size=rows
    )


def _feature_columns(stats: FeatureStats) -> dict[str, Any]:
    share = [None if np.isnan(v) else float(v) for v in stats.image_share]
    return {
        "index": np.arange(len(stats.density), dtype=np.int32),
        "image_share": share,
        "hist_counts": [list(map(int, row)) for row in stats.hist_counts],
        **{
            name: getattr(stats, name)
            for name in (
                "density",
                "text_density",
                "max_activation",
                "mean_activation",
                "images",
                "active_tokens",
                "dead",
                "always_on",
                "sink",
            )
        },
    }


def _activation_columns(
    cache: FeatureCache, images: list[BundleImage], text_ids: dict[int, int], grid: tuple[int, int]
) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {name: [] for name in SCHEMAS["activations"].names}

    def put(index: int, band: str, rank: int, example: Example) -> None:
        on_image = band != "text"
        row = {
            "index": index, "band": band, "rank": rank, "rows": grid[0] if on_image else 1, "cols": grid[1] if on_image else example.size,
            "peak": example.peak, "mean": example.mean, "positions": example.positions.astype("<u2").tobytes(),
            "values": example.values.astype("<f2").tobytes(), "image": images[example.item].sha256 if on_image else None,
            "text": None if on_image else text_ids[example.item],
        }  # fmt: skip
        for name, value in row.items():
            out[name].append(value)

    for index, bands in enumerate(cache.examples):
        for band in (*IMAGE_BANDS, "text"):
            for rank, example in enumerate(bands.get(band, [])):
                put(index, band, rank, example)
    return out


def _records(name: str, rows: list[Any]) -> pa.Table:
    return _table(name, {field: [getattr(row, field) for row in rows] for field in SCHEMAS[name].names})


def write_bundle(
    folder: Path, model: dict[str, Any], attribution: str | None, images: list[BundleImage], texts: list[Text], parts: list[DictionaryPart],
    made: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write every file and the manifest; answers the manifest. Only texts that some example shows are kept."""
    grid = (int(model["grid"]["rows"]), int(model["grid"]["cols"]))
    tables: dict[str, pa.Table] = {}
    tables["images.parquet"] = _table(
        "images",
        {
            "sha256": [i.sha256 for i in images], "bytes": [i.data for i in images], "mime": [i.mime for i in images], "width": [i.width for i in images],
            "height": [i.height for i in images], "source": [i.source for i in images], "caption": [i.caption for i in images],
        },
    )  # fmt: skip
    used = sorted({e.item for part in parts for bands in part.cache.examples for e in bands.get("text", [])})
    text_ids = {item: number for number, item in enumerate(used)}
    tables["texts.parquet"] = _table(
        "texts",
        {"id": list(range(len(used))), "tokens": [texts[t].tokens for t in used], "image": [images[texts[t].image].sha256 for t in used]},
    )
    described = []
    for part in parts:
        name = str(part.about["id"])
        described.append({**part.about, "folder": name})
        tables[f"{name}/features.parquet"] = _table("features", _feature_columns(part.cache.stats))
        tables[f"{name}/activations.parquet"] = _table("activations", _activation_columns(part.cache, images, text_ids, grid))
        for kind, rows in (
            ("explanations", part.explanations),
            ("scores", part.scores),
            ("neighbours", part.neighbours),
            ("tokens", part.tokens),
        ):
            tables[f"{name}/{kind}.parquet"] = _records(kind, rows)
    files = {}
    for path, table in tables.items():
        _write(table, folder / path, raw=("bytes",))
        files[path] = {"sha256": file_sha256(folder / path), "bytes": (folder / path).stat().st_size, "rows": table.num_rows}
    manifest = {"format": FORMAT, "model": model, "attribution": attribution, "dictionaries": described, "files": files, "made": made}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def check_bundle(folder: Path) -> dict[str, Any]:
    """Check a bundle as an importer would; answers its manifest.

    Raises
    ------
    FacetError : naming the file and what is wrong with it.
    """
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    if manifest.get("format") != FORMAT:
        raise FacetError(f"The manifest's format is {manifest.get('format')!r}; {FORMAT!r} was expected.")
    tables: dict[str, pa.Table] = {}
    for path, entry in manifest["files"].items():
        file = folder / path
        if not file.is_file() or file_sha256(file) != entry["sha256"]:
            raise FacetError(f"{path} is missing or is not the file that the manifest names.")
        table = pq.read_table(file)
        schema = SCHEMAS[Path(path).stem]
        for wanted in schema:
            if wanted.name not in table.schema.names or table.schema.field(wanted.name).type != wanted.type:
                raise FacetError(f"{path} lacks the column {wanted.name!r} of type {wanted.type}.")
            if not wanted.nullable and table.column(wanted.name).null_count:
                raise FacetError(f"{path} has empty values in {wanted.name!r}.")
        tables[path] = table
    images = set(tables["images.parquet"].column("sha256").to_pylist())
    texts = set(tables["texts.parquet"].column("id").to_pylist())
    for about in manifest["dictionaries"]:
        _check_dictionary(about, tables, images, texts)
    return manifest


def _check_dictionary(about: dict[str, Any], tables: dict[str, pa.Table], images: set[str], texts: set[int]) -> None:
    name = about["folder"]
    features = tables[f"{name}/features.parquet"].column("index").to_pylist()
    if features != list(range(about["num_latents"])):
        raise FacetError(f"{name}/features.parquet does not hold every index from 0 to {about['num_latents'] - 1} in order.")
    for row in tables[f"{name}/activations.parquet"].to_pylist():
        positions, values = np.frombuffer(row["positions"], "<u2"), np.frombuffer(row["values"], "<f2")
        size = row["rows"] * row["cols"]
        target = row["text"] in texts if row["band"] == "text" else row["image"] in images
        if len(positions) != len(values) or (len(positions) and int(positions.max()) >= size) or not target:
            raise FacetError(
                f"{name}/activations.parquet has a broken map for feature {row['index']}, band {row['band']}, rank {row['rank']}."
            )
    preferred = [
        i for i, p in zip(*(tables[f"{name}/explanations.parquet"].column(c).to_pylist() for c in ("index", "preferred")), strict=True) if p
    ]
    if len(preferred) != len(set(preferred)):
        raise FacetError(f"{name}/explanations.parquet prefers more than one explanation of a feature.")
