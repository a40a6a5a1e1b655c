"""Sparse activations of an input: over an image or the words as a whole, and position by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from facet_worker.prompting import Prompt, TextCodec, image_hashes

Codes = tuple[Tensor, Tensor]
"""Latents of some positions [P, n]: indices and values, descending, 0 where fewer are active."""


def maps_of(codes: Codes, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many features fire at these positions, and the `limit` of the greatest mean over them, each with its sparse map."""
    maps: dict[int, tuple[list[int], list[float]]] = {}
    for place, (row, values) in enumerate(zip(codes[0].tolist(), codes[1].tolist(), strict=True)):
        for index, value in zip(row, values, strict=True):
            if value > 0:
                at, heights = maps.setdefault(index, ([], []))
                at.append(place)
                heights.append(value)
    size = len(codes[0])
    listed = sorted(maps.items(), key=lambda item: (-sum(item[1][1]), item[0]))[:limit]
    features = [
        {"index": index, "mean": sum(heights) / size, "peak": max(heights), "map": {"positions": at, "values": heights}}
        for index, (at, heights) in listed
    ]
    return len(maps), features


def prompt_positions(prompt: Prompt, codec: TextCodec, written: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Every position of a prompt and of an answer behind it: its kind (`image`, `text`, `template`, `answer`), text, and cell of an image's base grid."""
    layout = prompt.layout
    cells = {int(at): {"image": i, "cell": cell} for i, grid in enumerate(layout.images) for cell, at in enumerate(grid.cells)}
    out: list[dict[str, Any]] = []
    for position, token in enumerate([*prompt.inputs["input_ids"][0].tolist(), *written]):
        if position < layout.length and layout.image[position]:
            out.append({"kind": "image", "text": "", "cell": cells.get(position)})
            continue
        kind = "answer" if position >= layout.length else "template" if layout.template[position] else "text"
        out.append({"kind": kind, "text": codec.markers.get(token) or codec.decode([token]), "cell": None})
    return out


def input_activations(prompt: Prompt, codec: TextCodec, codes: Codes, request: Mapping[str, Any]) -> dict[str, Any]:
    """What `POST /v1/activations` answers of a prompt, from the latents of all its positions.

    `images`, by image, and `text`, over the words without the template's markers, are sparse maps over cells and over `text.tokens`; `tokens` is every
    position with its strongest features, where the request names how many.
    """
    positions = prompt_positions(prompt, codec)

    def part(places: Sequence[int]) -> dict[str, Any]:
        total, features = maps_of((codes[0][list(places)], codes[1][list(places)]), request["limit"])
        return {"total": total, "features": features}

    hashes = image_hashes(request["messages"])
    images = [
        {"sha256": sha, "rows": grid.rows, "cols": grid.cols, **part(grid.cells.tolist())}
        for sha, grid in zip(hashes, prompt.layout.images, strict=True)
    ]
    words = [i for i, position in enumerate(positions) if position["kind"] == "text"]
    text = {"positions": words, "tokens": [positions[i]["text"] for i in words], **part(words)}
    in_image = int(np.count_nonzero(prompt.layout.image))
    told = {
        "text": prompt.text,
        "imageTokens": in_image,
        "textTokens": prompt.layout.length - in_image,
        "unknown": prompt.unknown,
    }
    found = {"prompt": told, "images": images, "text": text}
    most = request.get("perToken")
    if most is None:
        return found
    top = zip(codes[0][:, :most].tolist(), codes[1][:, :most].tolist(), strict=True)
    tokens = [
        {**position, "features": [{"index": index, "value": value} for index, value in zip(row, values, strict=True) if value > 0]}
        for position, (row, values) in zip(positions, top, strict=True)
    ]
    return {**found, "tokens": tokens}
