"""Which features stand near one another: by what they write, and by where they fire together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from facet_worker.codes import Codes
from facet_worker.token_draw import TokenDraw


@dataclass(frozen=True)
class Neighbour:
    """`value` is a cosine for `decoder`, a Jaccard overlap for `coactive`."""

    index: int
    kind: str
    rank: int
    neighbour: int
    value: float


def decoder_cosine(w_dec: Tensor) -> npt.NDArray[np.float32]:
    """Cosines float32 [L, L] of decoder rows."""
    rows = F.normalize(w_dec.float(), dim=1)
    with torch.inference_mode():
        return (rows @ rows.T).numpy()


def coactivation(codes: Codes) -> npt.NDArray[np.float32]:
    """Jaccard overlap float32 [L, L] of the tokens (image and text) on which two features are active."""
    latents = codes.num_latents
    both = np.zeros((latents, latents), np.float32)
    for indices, values in codes.chunks():
        active = values > 0
        rows = np.repeat(np.arange(len(indices), dtype=np.int32), active.sum(1))
        matrix = sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, indices[active].astype(np.int32))), shape=(len(indices), latents)
        )
        product = (matrix.T @ matrix).tocoo()
        both[product.row, product.col] += product.data
    count = both.diagonal()
    union = count[:, None] + count[None, :] - both
    overlap: npt.NDArray[np.float32] = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return overlap


def nearest(
    similarity: npt.NDArray[np.float32], kind: str, alive: npt.NDArray[np.bool_], count: int = 5, floor: float = 0.05
) -> list[Neighbour]:
    """The `count` most similar living features of each living feature, itself left out, similarity above `floor`."""
    scores = similarity.copy()
    np.fill_diagonal(scores, -np.inf)
    scores[:, ~alive] = -np.inf
    count = min(count, len(scores) - 1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    out = []
    for index in np.flatnonzero(alive):
        for rank, other in enumerate(best[index]):
            if scores[index, other] > floor:
                out.append(Neighbour(int(index), kind, rank, int(other), float(scores[index, other])))
    return out


Columns = dict[str, npt.NDArray[np.generic]]


def _columns(index: npt.NDArray[Any], rank: npt.NDArray[Any], neighbour: npt.NDArray[Any], value: npt.NDArray[Any]) -> Columns:
    return {
        "index": index.astype(np.int32), "rank": rank.astype(np.int16), "neighbour": neighbour.astype(np.int32), "value": value.astype(np.float32),
    }  # fmt: skip


def _best_overlaps(both: sparse.csr_matrix, first: int, often: npt.NDArray[np.float32], count: int, floor: float) -> Columns:
    """Of features `first` and on [R, L], on how many tokens each fires together with every other: the `count` largest overlaps above `floor`."""
    both.sort_indices()
    row = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    overlap = both.data / (often[row + first] + often[both.indices] - both.data)
    near = np.flatnonzero((overlap > floor) & (both.indices != row + first))
    row, neighbour, overlap = row[near], both.indices[near], overlap[near]
    # Rows in turn, within one the largest first; of equal ones the feature of the lower number.
    order = np.argsort(2.0 * row - overlap, kind="stable")
    row, neighbour, overlap = row[order], neighbour[order], overlap[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < count
    return _columns(row[kept] + first, rank[kept], neighbour[kept], overlap[kept])


def _joined(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def coactive_of_draw(draw: TokenDraw, latents: int, alive: npt.NDArray[np.bool_], count: int = 5, floor: float = 0.05) -> Columns:
    """The features that most often fire together with each living one: Jaccard overlap over the drawn tokens, some hundred features at a time."""
    _, length, features = draw.settle()
    rows = np.repeat(np.arange(len(length), dtype=np.int32), length)
    on = sparse.csr_matrix((np.ones(len(features), np.float32), (rows, features)), shape=(len(length), latents))
    often = np.asarray(on.sum(0), np.float32).reshape(-1)
    by_feature = on.T.tocsr()
    step = max(1, (1 << 26) // latents)
    return _joined(
        [_best_overlaps((by_feature[first : first + step] @ on).tocsr(), first, often, count, floor) for first in range(0, latents, step)]
    )


def nearest_decoder(w_dec: Tensor, alive: npt.NDArray[np.bool_], count: int = 5, floor: float = 0.05) -> Columns:
    """The features whose decoder rows [L, D] are most alike each living one's, by cosine, on the device where they lie."""
    rows = F.normalize(w_dec.float(), dim=1)
    living = torch.from_numpy(np.flatnonzero(alive)).to(rows.device)
    rows = rows[living]
    step, count = max(1, (1 << 26) // max(1, len(rows))), min(count, len(rows) - 1)
    parts = [_columns(*(np.zeros(0),) * 4)]
    with torch.inference_mode():
        for first in range(0, len(rows) if count > 0 else 0, step):
            cosine = rows[first : first + step] @ rows.T
            own = torch.arange(len(cosine), device=rows.device)
            cosine[own, own + first] = -torch.inf
            values, near = cosine.topk(count, dim=1)
            row, rank = torch.nonzero(values > floor, as_tuple=True)
            found = (living[row + first], rank, living[near[row, rank]], values[row, rank])
            parts.append(_columns(*(part.cpu().numpy() for part in found)))
    return _joined(parts)
