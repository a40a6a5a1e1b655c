"""Which features stand near one another: by what they write, and by where they fire together."""

from __future__ import annotations

from dataclasses import dataclass

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


def _best(scores: npt.NDArray[np.float32], first: int, alive: npt.NDArray[np.bool_], count: int, floor: float) -> Columns:
    """Columns `index`, `rank`, `neighbour`, `value` of the rows [R, L] of features `first` and on; the feature itself and dead ones are left out."""
    own = np.arange(len(scores))
    scores[own, own + first] = -np.inf
    scores[:, ~alive] = -np.inf
    count = min(count, scores.shape[1] - 1)
    near = np.argpartition(-scores, count - 1, axis=1)[:, :count] if count else np.zeros((len(scores), 0), np.int64)
    near.sort(axis=1)
    values = np.take_along_axis(scores, near, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    near, values = np.take_along_axis(near, order, 1), np.take_along_axis(values, order, 1)
    row, rank = np.nonzero((values > floor) & alive[first : first + len(scores), None])
    return {
        "index": (row + first).astype(np.int32), "rank": rank.astype(np.int16), "neighbour": near[row, rank].astype(np.int32),
        "value": values[row, rank].astype(np.float32),
    }  # fmt: skip


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
    parts = []
    for first in range(0, latents, step):
        both = (by_feature[first : first + step] @ on).toarray()
        union = often[first : first + step, None] + often[None] - both
        parts.append(_best(np.divide(both, union, out=np.zeros_like(both), where=union > 0), first, alive, count, floor))
    return _joined(parts)


def nearest_decoder(w_dec: Tensor, alive: npt.NDArray[np.bool_], count: int = 5, floor: float = 0.05) -> Columns:
    """The features whose decoder rows [L, D] are most alike each living one's, by cosine, on the device where they lie."""
    rows = F.normalize(w_dec.float(), dim=1)
    step = max(1, (1 << 26) // len(rows))
    with torch.inference_mode():
        parts = [
            _best((rows[first : first + step] @ rows.T).cpu().numpy(), first, alive, count, floor) for first in range(0, len(rows), step)
        ]
    return _joined(parts)
