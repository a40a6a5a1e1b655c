"""What a training run is told; every number has its unit beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from facet_worker.errors import FacetError

KINDS = ("topk", "batchtopk", "matryoshka", "jumprelu")
TOKENS = ("image", "text", "both")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How dictionaries are trained. The defaults are the paper's (arXiv 2411.14982), but for the width, which the data decides.

    Attributes
    ----------
    kind : `topk` keeps the k largest latents of each token; `batchtopk` k · tokens of the batch (arXiv 2412.06410); `matryoshka` the same with nested
        dictionaries that each reconstruct alone (arXiv 2503.17547); `jumprelu` those above a threshold that is learned, k on average (arXiv 2407.14435)
    latents : how many features
    k : active latents a token
    tokens : which positions are learned from: `image`, `text`, or `both`
    steps : batches that are learned from
    batch : tokens a step, over all processes together
    lr : Adam's; None for the paper's rule 2e-4 / √(latents / 2¹⁴)
    warmup, decay : steps over which the rate rises from 0, and falls to 0 at the end
    auxk_alpha : weight of the loss that dead latents pay for what is left unexplained
    dead_after : tokens without firing after which a latent counts as dead
    multi_topk : whether four times k latents must reconstruct as well, at an eighth of the weight
    prefixes : of `matryoshka`, the nested dictionaries' shares of the latents
    bandwidth : of `jumprelu`, how near its threshold a latent teaches it, in units of the states' root mean square
    sparsity : of `jumprelu`, the weight of ((mean active latents) / k − 1)²
    buffer : tokens that are held and mixed at most
    seed : of the weights, the order of the data and the mixing
    """

    kind: str = "topk"
    latents: int = 2**17
    k: int = 256
    tokens: str = "both"
    steps: int = 30_000
    batch: int = 4096
    lr: float | None = None
    warmup: int = 1000
    decay: int | None = None
    auxk_alpha: float = 1 / 32
    dead_after: int = 10_000_000
    multi_topk: bool = True
    prefixes: tuple[float, ...] = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    bandwidth: float = 0.01
    sparsity: float = 1.0
    buffer: int = 262_144
    seed: int = 0

    def __post_init__(self) -> None:
        refusals = {
            f"kind is {self.kind!r}; it is one of {', '.join(KINDS)}": self.kind not in KINDS,
            f"tokens is {self.tokens!r}; it is one of {', '.join(TOKENS)}": self.tokens not in TOKENS,
            f"k = {self.k} is not between 1 and the {self.latents} latents": not 1 <= self.k <= self.latents,
            f"steps = {self.steps} and batch = {self.batch} must be at least 1": self.steps < 1 or self.batch < 1,
            f"the buffer of {self.buffer} tokens holds less than two batches of {self.batch}": self.buffer < 2 * self.batch,
            f"lr = {self.lr} is no positive number": self.lr is not None and not (0 < self.lr < math.inf),
            "prefixes must rise from above 0 to 1": list(self.prefixes) != sorted(set(self.prefixes))
            or not self.prefixes
            or self.prefixes[0] <= 0
            or self.prefixes[-1] != 1,
            "auxk_alpha, bandwidth and sparsity must not be negative": min(self.auxk_alpha, self.bandwidth, self.sparsity) < 0,
        }
        wrong = [sentence for sentence, refused in refusals.items() if refused]
        if wrong:
            raise FacetError(f"The training's settings do not fit: {'; '.join(wrong)}.", "invalid_request")

    @property
    def rate(self) -> float:
        """Adam's rate at its highest."""
        return self.lr if self.lr is not None else 2e-4 / math.sqrt(self.latents / 2**14)

    def rate_at(self, step: int) -> float:
        """Adam's rate at a step, counted from 0: a straight rise, level, and a straight fall to 0."""
        fall = self.decay if self.decay is not None else self.steps // 5
        rising = (step + 1) / self.warmup if step < self.warmup else 1.0
        falling = (self.steps - step) / fall if fall and self.steps - step < fall else 1.0
        return self.rate * min(rising, falling)
