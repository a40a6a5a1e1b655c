"""The scores' arithmetic on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def normalised(vectors: Array) -> npt.NDArray[np.float64]:
    """Rows [n, D] at length 1. Throws `ValueError` for a row that has no direction."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not np.isfinite(length).all() or not length.all():
        raise ValueError("an embedding is zero or not finite")
    out: npt.NDArray[np.float64] = wide / length
    return out


def clip_scores(images: Array, text: Array) -> npt.NDArray[np.float64]:
    """CLIP score of embedded pictures [n, D] with an embedded text [D]: 100 · cosine, 0 where that is negative."""
    out: npt.NDArray[np.float64] = np.maximum(100 * (normalised(images) @ normalised(text)), 0)
    return out


def iou(a: Mask, b: Mask) -> float:
    """Overlap of two masks over their union; 0 where both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def balanced_accuracy(on: Sequence[bool], off: Sequence[bool]) -> float:
    """Mean of the shares of right answers about pictures on which a feature fires, and about those on which it does not. Both at least one."""
    if not on or not off:
        raise ValueError("balanced accuracy needs pictures of both kinds")
    return (sum(on) / len(on) + sum(off) / len(off)) / 2


def monosemanticity(embeddings: Array, activations: Array) -> float | None:
    """Mean cosine of all pairs of pictures, weighted by the product of their activations (arXiv 2504.02821); None with fewer than two active.

    Σ_{i≠j} a_i a_j cos(e_i, e_j) / Σ_{i≠j} a_i a_j, in a single pass over the pictures.

    Parameters
    ----------
    embeddings : [n, D]
    activations : [n], at least 0, on any scale; silent pictures weigh nothing and may be left out
    """
    weights = np.asarray(activations, np.float64)
    if (weights < 0).any() or not np.isfinite(weights).all():
        raise ValueError("activations are finite and not negative")
    # Sums are exact enough only near 1.
    most = weights.max(initial=0)
    weights = weights / most if most else weights
    squares = float((weights**2).sum())
    pairs = float(weights.sum()) ** 2 - squares
    if (weights > 0).sum() < 2:
        return None
    total = weights @ normalised(embeddings)
    return float((total @ total - squares) / pairs)
