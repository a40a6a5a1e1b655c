"""Make an ONNX graph read its weights out of a safetensors file: float16 as stored, cast to float32 inside the graph."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facet_worker.errors import FacetError

SMALL = 64  # constants of fewer elements stay in the graph


@dataclass(frozen=True)
class Stored:
    """A tensor's place in the file, in bytes from its start."""

    name: str
    offset: int
    length: int


def index_safetensors(path: Path) -> dict[tuple[tuple[int, ...], str], Stored]:
    """Every float16 tensor of a safetensors file by (shape, SHA-256 of its bytes)."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    base = 8 + size
    out = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F16":
            continue
        begin, end = entry["data_offsets"]
        digest = hashlib.sha256(raw[base + begin : base + end]).hexdigest()
        out[(tuple(entry["shape"]), digest)] = Stored(name, base + begin, end - begin)
    return out


def share_weights(proto: onnx.ModelProto, weights: Path) -> list[str]:
    """Replace every float32 initialiser by external float16 data in `weights` and a Cast; answers the tensors' names there.

    Graph and weights must lie in the same folder, as runtimes refuse external data elsewhere.

    Raises
    ------
    FacetError : when a large initialiser equals no tensor of the file.
    """
    stored = index_safetensors(weights)
    graph = proto.graph
    kept, casts, used = [], [], []
    for initialiser in graph.initializer:
        array = numpy_helper.to_array(initialiser)
        if array.dtype != np.float32 or array.size < SMALL:
            kept.append(initialiser)
            continue
        half = np.ascontiguousarray(array.astype(np.float16))
        place = stored.get((tuple(array.shape), hashlib.sha256(half.tobytes()).hexdigest()))
        if place is None or not np.array_equal(half.astype(np.float32), array):
            raise FacetError(f"The graph's weight {initialiser.name!r} {array.shape} is no tensor of {weights.name}.")
        tensor = TensorProto(
            name=f"{initialiser.name}.f16", data_type=TensorProto.FLOAT16, dims=array.shape, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", weights.name), ("offset", place.offset), ("length", place.length)):
            tensor.external_data.add(key=key, value=str(value))
        kept.append(tensor)
        casts.append(helper.make_node("Cast", [tensor.name], [initialiser.name], to=TensorProto.FLOAT, name=f"{initialiser.name}.f32"))
        used.append(place.name)
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*casts, *nodes])
    del graph.value_info[:]
    return used
