"""Write and check a bundle: the folder of Parquet files that `facet import` reads (docs/formats.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facet_worker.cache import FeatureCache, FeatureStats
from facet_worker.errors import FacetError
from facet_worker.examples import BANDS, Examples
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
            "index": _I32, "density": _F64, "max_activation": _F32, "mean_activation": _F32, "images": _I32, "active_tokens": _I64,
            "dead": _B, "always_on": _B, "sink": _B, "hist_counts": pa.list_(_I64),
        },
        {"text_density": _F64, "image_share": _F64},
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
    explanations: list[Explanation] | pa.Table
    scores: list[Score] | pa.Table
    neighbours: list[Neighbour] | pa.Table
    tokens: list[TokenWeight] | pa.Table


@dataclass(frozen=True)
class Text:
    """A token string as shown, and the number of the image before it."""

    tokens: list[str]
    image: int


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _write(tables: Iterable[pa.Table], schema: pa.Schema, path: Path, raw: tuple[str, ...] = ()) -> int:
    """A row group for each table. Snappy, dictionary-encoded where that helps; columns in `raw` (already compressed or unique) as they are.

    Answers how many rows were written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {name: "NONE" if name in raw else "SNAPPY" for name in schema.names}
    plain = {"bytes", "positions", "values"}
    rows = 0
    with pq.ParquetWriter(
        path, schema, compression=codec, use_dictionary=[n for n in schema.names if n not in plain], write_statistics=False
    ) as writer:  # fmt: skip
        for table in tables:
            writer.write_table(table, OTHER_ROWS)
            rows += table.num_rows
    return rows


def _feature_columns(stats: FeatureStats) -> dict[str, Any]:
    # What was not looked at is null: without texts there is no density on them, and no share of one kind against the other.
    read = stats.text_tokens > 0
    same = ("density", "max_activation", "mean_activation", "images", "active_tokens", "dead", "always_on", "sink")
    return {
        "index": np.arange(len(stats.density), dtype=np.int32),
        "text_density": stats.text_density if read else [None] * len(stats.density),
        "image_share": [float(v) if read and not np.isnan(v) else None for v in stats.image_share],
        "hist_counts": list(stats.hist_counts),
        **{name: getattr(stats, name) for name in same},
    }


def _binary(data: bytes, lengths: Any, width: int) -> pa.Array:
    """Stretches of `lengths` entries of `width` bytes each, as a column of bytes."""
    offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64) * width)]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(lengths), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)])


def _activation_tables(
    examples: Examples, images: Mapping[int, str], text_ids: Mapping[int, int], grid: tuple[int, int]
) -> Iterator[pa.Table]:
    """The stored examples, some thousand at a time."""
    c, schema = examples.columns, SCHEMAS["activations"]
    text = BANDS.index("text")
    for first in range(0, len(c["feature"]), OTHER_ROWS):
        part = slice(first, first + OTHER_ROWS)
        band, item, length = c["band"][part], c["item"][part].tolist(), c["length"][part]
        entries = slice(int(examples.start[first]), int(examples.start[first + len(band)]))
        on_text = band == text
        given = (c["rows"][part] > 0) | on_text
        columns = {
            "index": c["feature"][part].astype(np.int32), "band": [BANDS[b] for b in band], "rank": c["rank"][part].astype(np.int16),
            "rows": np.where(on_text, 1, np.where(given, c["rows"][part], grid[0])).astype(np.int16),
            "cols": np.where(given, c["cols"][part], grid[1]).astype(np.int16),
            "peak": c["peak"][part].astype(np.float32), "mean": c["mean"][part].astype(np.float32),
            "positions": _binary(c["positions"][entries].astype("<u2").tobytes(), length, 2),
            "values": _binary(c["values"][entries].astype("<f2").tobytes(), length, 2),
            "image": [None if is_text else images[number] for number, is_text in zip(item, on_text, strict=True)],
            "text": [text_ids[number] if is_text else None for number, is_text in zip(item, on_text, strict=True)],
        }  # fmt: skip
        yield pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _records(name: str, rows: Any) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows.select(SCHEMAS[name].names).cast(SCHEMAS[name])
    return _table(name, {field: [getattr(row, field) for row in rows] for field in SCHEMAS[name].names})


def _image_tables(images: Iterable[BundleImage], hashes: dict[int, str], numbers: Iterable[int] | None) -> Iterator[pa.Table]:
    """Some pictures at a time; notes each one's hash under its number. The same bytes twice are one row."""
    names = SCHEMAS["images"].names
    waiting: list[BundleImage] = []
    seen: set[str] = set()
    numbering = iter(numbers) if numbers is not None else iter(range(1 << 62))
    for image in images:
        hashes[next(numbering)] = image.sha256
        if image.sha256 in seen:
            continue
        seen.add(image.sha256)
        waiting.append(image)
        if len(waiting) == IMAGE_ROWS:
            yield _table("images", {name: [getattr(one, _IMAGE_FIELDS.get(name, name)) for one in waiting] for name in names})
            waiting = []
    if waiting:
        yield _table("images", {name: [getattr(one, _IMAGE_FIELDS.get(name, name)) for one in waiting] for name in names})


_IMAGE_FIELDS = {"bytes": "data"}


def write_bundle(
    folder: Path, model: dict[str, Any], attribution: str | None, images: Iterable[BundleImage], texts: Sequence[Text] | Mapping[int, Text],
    parts: Sequence[DictionaryPart], made: dict[str, Any], numbers: Iterable[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write every file and the manifest; answers the manifest. Only texts that some example shows are kept.

    Parameters
    ----------
    images : may be made one by one while they are written
    numbers : each image's number, by which examples and texts name it; counted from 0 where left out
    """
    grid = (int(model["grid"]["rows"]), int(model["grid"]["cols"]))
    files: dict[str, dict[str, Any]] = {}

    def put(path: str, tables: Iterable[pa.Table], raw: tuple[str, ...] = ()) -> None:
        rows = _write(tables, SCHEMAS[Path(path).stem], folder / path, raw)
        files[path] = {"sha256": file_sha256(folder / path), "bytes": (folder / path).stat().st_size, "rows": rows}

    hashes: dict[int, str] = {}
    put("images.parquet", _image_tables(images, hashes, numbers), ("bytes",))
    every = [Examples.of(part.cache.examples) for part in parts]
    text = BANDS.index("text")
    used = sorted({int(t) for examples in every for t in np.unique(examples.columns["item"][examples.columns["band"] == text])})
    text_ids = {item: number for number, item in enumerate(used)}
    shown = {"id": list(range(len(used))), "tokens": [texts[t].tokens for t in used], "image": [hashes[texts[t].image] for t in used]}
    put("texts.parquet", [_table("texts", shown)])
    described = []
    for part, examples in zip(parts, every, strict=True):
        name = str(part.about["id"])
        described.append({**part.about, "folder": name})
        put(f"{name}/features.parquet", [_table("features", _feature_columns(part.cache.stats))])
        put(f"{name}/activations.parquet", _activation_tables(examples, hashes, text_ids, grid))
        for kind in ("explanations", "scores", "neighbours", "tokens"):
            put(f"{name}/{kind}.parquet", [_records(kind, getattr(part, kind))])
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
    for row in (row for batch in tables[f"{name}/activations.parquet"].to_batches(8192) for row in batch.to_pylist()):
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
