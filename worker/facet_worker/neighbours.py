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
