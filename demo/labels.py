"""Put explanations and scores into a bundle that has been written without them, or with others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from facet_worker.explain import Explanation
from facet_worker.sae import file_sha256
from facet_worker.score import Score
from facet_worker.step_tools import write_rows


def put_labels(bundle: Path, dictionary: str, explanations: Sequence[Explanation], scores: Sequence[Score]) -> None:
    """Writes the two tables of a dictionary and their entries in the manifest."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    (about,) = (entry for entry in manifest["dictionaries"] if entry["id"] == dictionary)
    for name, rows in (("explanations", explanations), ("scores", scores)):
        path = f"{about['folder']}/{name}.parquet"
        ordered = sorted(rows, key=lambda row: (row.index, row.method)) if name == "explanations" else list(rows)
        write_rows(name, ordered, bundle / path)
        manifest["files"][path] = {"sha256": file_sha256(bundle / path), "bytes": (bundle / path).stat().st_size, "rows": len(ordered)}
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
