"""What a feature says in the vocabulary: tokens that its decoder row writes and that its encoder row reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenWeight:
    """`value` is decoder row · unembedding for `writes`, encoder row · embedding for `reads`."""

    index: int
    kind: str
    rank: int
    token: str
    value: float


def token_weights(rows: Tensor, matrix: Tensor, tokens: list[str], kind: str, count: int = 8) -> list[TokenWeight]:
    """The `count` tokens with the largest product for each row.

    Parameters
    ----------
    rows : [L, D], decoder or encoder rows
    matrix : [V, D], unembedding or embedding
    tokens : V strings; an empty one is never listed
    """
    with torch.inference_mode():
        products = rows.float() @ matrix.float().T
        products[:, [i for i, token in enumerate(tokens) if not token]] = -torch.inf
        values, where = products.topk(min(count, sum(map(bool, tokens))), dim=1)
    return [
        TokenWeight(index, kind, rank, tokens[int(where[index, rank])], float(values[index, rank]))
        for index in range(len(rows))
        for rank in range(where.shape[1])
    ]
