"""Train a TopK dictionary on image and text tokens: FVU, a term for dead latents, and one for a wider TopK."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.harvest import Activations
from facet_worker.sae import TopKSae


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; `lr_scale` multiplies the paper's rule 2e-4 / sqrt(latents / 2¹⁴).

    `spare` latents are trained besides, and in the end those that fire least often on the training tokens are left out,
    so that the dictionary's `num_latents` are ones that the data uses.
    """

    num_latents: int = 2048
    spare: int = 0
    k: int = 32
    steps: int = 1500
    batch: int = 2048
    text_share: float = 0.3
    lr_scale: float = 2.0
    auxk_alpha: float = 1 / 32
    multi_k: int = 4
    dead_after_tokens: int = 100_000
    revive_every: int = 25
    revive_most: int = 256
    seed: int = 0


@dataclass(frozen=True)
class Pool:
    """Tokens of one kind with the mean and total variance that their FVU is measured by."""

    tokens: Tensor
    mean: Tensor
    variance: float

    @classmethod
    def of(cls, tokens: Tensor) -> Pool:
        mean = tokens.mean(0)
        return cls(tokens, mean, float((tokens - mean).square().sum(1).mean()))


def fvu(sae: TopKSae, tokens: Tensor, chunk: int = 8192) -> tuple[float, float, Tensor]:
    """Σ e² / Σ (x − mean)² over tokens [N, D], the mean number of active latents, and how often each latent fired [L]."""
    mean = tokens.mean(0)
    error = total = active = 0.0
    fired = torch.zeros(sae.num_latents)
    with torch.inference_mode():
        for x in tokens.split(chunk):
            indices, values = sae.encode(x)
            error += float((x - sae.decode(indices, values)).square().sum())
            total += float((x - mean).square().sum())
            active += float((values > 0).sum())
            fired.index_add_(0, indices[values > 0], torch.ones(int((values > 0).sum())))
    return error / total, active / len(tokens), fired


class Trainer:
    """One dictionary in training. Each kind of token has its own FVU, so that neither kind's scale drowns the other."""

    def __init__(self, data: Activations, config: TrainConfig) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.image, self.text = Pool.of(data.image), Pool.of(data.text)
        self.template = data.template
        mean = (1 - config.text_share) * self.image.mean + config.text_share * self.text.mean
        latents = config.num_latents + config.spare
        start, weight = self._sample(latents)
        rows = F.normalize(start - mean + 1e-4 * torch.randn(start.shape, generator=self.generator), dim=1)
        self.w_dec = rows.clone().requires_grad_()
        self.w_enc = (rows * self._fitting_scale(rows, start - mean, weight)).requires_grad_()
        self.b_enc = torch.zeros(latents, requires_grad=True)
        self.b_dec = mean.clone().requires_grad_()
        self.lr = config.lr_scale * 2e-4 / math.sqrt(config.num_latents / 2**14)
        self.optimizer = torch.optim.Adam([self.w_enc, self.b_enc, self.w_dec, self.b_dec], lr=self.lr, betas=(0.9, 0.999))
        self.idle = torch.zeros(latents)
        self.revived = 0

    def _sample(self, n: int) -> tuple[Tensor, Tensor]:
        """n tokens [n, D] with the weight of each one's squared error [n, 1]."""
        texts = round(n * self.config.text_share)
        parts, weights = [], []
        for pool, count, share in ((self.image, n - texts, 1 - self.config.text_share), (self.text, texts, self.config.text_share)):
            pick = torch.randint(len(pool.tokens), (count,), generator=self.generator)
            parts.append(pool.tokens[pick])
            weights.append(torch.full((count, 1), share / (max(count, 1) * pool.variance)))
        # the template's few constant tokens ride along, so that a reconstruction holds there too
        if len(self.template):
            parts.append(self.template)
            scale = float((self.template - self.image.mean).square().sum(1).mean())
            weights.append(torch.full((len(self.template), 1), 0.02 / (len(self.template) * scale)))
        return torch.cat(parts)[:n], torch.cat(weights)[:n]

    def _fitting_scale(self, rows: Tensor, centred: Tensor, weight: Tensor) -> float:
        """The factor on tied encoder rows [L, D] that reconstructs centred tokens best: rows overlap, so 1 would overshoot many times."""
        values, indices = F.relu(centred[:1024] @ rows.T).topk(self.config.k, dim=1)
        out = F.embedding_bag(indices, rows, per_sample_weights=values, mode="sum")
        return float((out * centred[:1024] * weight[:1024]).sum() / (out.square() * weight[:1024]).sum().clamp(min=1e-12))

    def _step(self, step: int) -> dict[str, float]:
        c = self.config
        x, weight = self._sample(c.batch)
        centred = x - self.b_dec
        pre = F.relu(F.linear(centred, self.w_enc, self.b_enc))
        # every fourth step also asks the wider TopK, with four times its weight of 1/8
        wide = min(c.k * c.multi_k, len(self.idle)) if step % 4 == 0 else c.k
        values, indices = pre.topk(wide, dim=1)
        out = F.embedding_bag(indices[:, : c.k], self.w_dec, per_sample_weights=values[:, : c.k].contiguous(), mode="sum") + self.b_dec
        error = x - out
        main = (error.square() * weight).sum()
        loss = main
        if wide > c.k:
            more = F.embedding_bag(indices, self.w_dec, per_sample_weights=values, mode="sum") + self.b_dec
            loss = loss + ((x - more).square() * weight).sum() / 2
        dead = self.idle > c.dead_after_tokens
        n_dead = int(dead.sum())
        if n_dead and c.auxk_alpha:
            k_aux = min(x.shape[1] // 2, n_dead)
            av, ai = pre[:, dead].topk(k_aux, dim=1)
            guess = F.embedding_bag(ai, self.w_dec[dead], per_sample_weights=av, mode="sum")
            # in units of what is left unexplained, else it would fade as the dictionary gets better
            missed = ((error.detach() - guess).square() * weight).sum() / main.detach()
            loss = loss + c.auxk_alpha * min(n_dead / (x.shape[1] // 2), 1.0) * missed
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._update(step)
        fired = torch.zeros(len(self.idle), dtype=torch.bool)
        fired[indices[:, : c.k][values[:, : c.k] > 0]] = True
        self.idle = torch.where(fired, 0.0, self.idle + c.batch)
        if c.revive_every and step and step % c.revive_every == 0 and step < 0.6 * c.steps:
            self._revive(x, error.detach(), weight)
        return {"loss": float(main.detach()), "dead": n_dead / len(self.idle)}

    def _update(self, step: int) -> None:
        c = self.config
        decay = min(1.0, (c.steps - step) / (0.4 * c.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * min(1.0, (step + 1) / 50) * decay
        grad = self.w_dec.grad
        assert grad is not None
        with torch.no_grad():  # rows keep unit norm: the part of the gradient along a row only fights the normalisation
            grad -= (grad * self.w_dec).sum(1, keepdim=True) * self.w_dec
            torch.nn.utils.clip_grad_norm_([self.w_enc, self.b_enc, self.w_dec, self.b_dec], 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.w_dec.copy_(F.normalize(self.w_dec, dim=1))

    @torch.no_grad()
    def _revive(self, x: Tensor, error: Tensor, weight: Tensor) -> None:
        """Point latents that have not fired for long at the tokens reconstructed worst."""
        dead = (self.idle > self.config.dead_after_tokens / 2).nonzero().flatten()
        if not len(dead):
            return
        # few at a time: many taken from one batch would be copies of each other, and die of it
        dead = dead[self.idle[dead].argsort(descending=True)[: self.config.revive_most]]
        worst = (error.square() * weight).sum(1)
        pick = torch.multinomial(worst.sqrt() + 1e-12, len(dead), replacement=len(dead) > len(worst), generator=self.generator)
        rows = F.normalize(error[pick], dim=1)
        self.w_dec[dead] = rows
        self.w_enc[dead] = rows * self.w_enc.norm(dim=1).mean()
        self.b_enc[dead] = 0
        for p in (self.w_dec, self.w_enc, self.b_enc):
            state = self.optimizer.state.get(p)
            if state:
                state["exp_avg"][dead] = 0
                # zero here would make the first step as large as Adam can make it, and kill the latent again
                state["exp_avg_sq"][dead] = state["exp_avg_sq"].mean()
        self.idle[dead] = 0
        self.revived += len(dead)

    def run(self, log: Callable[[str], None] = print) -> TopKSae:
        """All steps; answers the dictionary with its weights rounded as they are stored."""
        for step in range(self.config.steps):
            out = self._step(step)
            if step % 100 == 0 or step == self.config.steps - 1:
                log(f"step {step:5d}  fvu {out['loss']:.4f}  dead {out['dead']:.3f}  revived {self.revived}")
        sae = TopKSae(self.w_enc.detach(), self.b_enc.detach(), self.w_dec.detach(), self.b_dec.detach(), self.config.k)
        return self._without_spare(sae).rounded()

    def _without_spare(self, sae: TopKSae) -> TopKSae:
        if not self.config.spare:
            return sae
        often = fvu(sae, self.image.tokens)[2] + fvu(sae, self.text.tokens)[2]
        kept = often.topk(self.config.num_latents).indices.sort().values
        return TopKSae(sae.w_enc[kept], sae.b_enc[kept], sae.w_dec[kept], sae.b_dec, sae.k)


def train(data: Activations, config: TrainConfig, log: Callable[[str], None] = print) -> TopKSae:
    """A dictionary from activations; the same data, configuration and thread count give the same weights."""
    return Trainer(data, config).run(log)


def evaluate(sae: TopKSae, data: Activations) -> dict[str, float]:
    """Held-out quality: FVU and L0 over image and text tokens together and apart, and the share of latents silent on these tokens."""
    image, l0_image, fired_image = fvu(sae, data.image)
    text, l0_text, fired_text = fvu(sae, data.text)
    both, l0, _ = fvu(sae, torch.cat([data.image, data.text]))
    dead = float(((fired_image + fired_text) == 0).float().mean())
    return {
        "fvu": both, "explained_variance": 1 - both, "l0": l0, "silent_share": dead, "fvu_image": image, "fvu_text": text,
        "l0_image": l0_image, "l0_text": l0_text, "image_tokens": len(data.image), "text_tokens": len(data.text),
    }  # fmt: skip


def describe(config: TrainConfig) -> dict[str, float]:
    """The configuration as plain numbers, for reports."""
    return asdict(config)
