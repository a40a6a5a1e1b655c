"""One dictionary in training: its parameters, its loss on a batch of hidden states, and a step of Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.sparse_decode import summed_rows
from facet_worker.training.settings import TrainSettings


@dataclass
class Losses:
    """`total` is what is minimised; the rest tells of it.

    Attributes
    ----------
    fvu : Σ e² / Σ (x − mean)² over the batch
    fired : bool [L], which latents were active on some token
    l0 : active latents a token
    least : of batchtopk and matryoshka, the smallest activation that was kept
    """

    total: Tensor
    fvu: Tensor
    fired: Tensor
    l0: float
    least: Tensor | None = None


class _Centred(torch.autograd.Function):
    """W (x − d) + b for states x that need no gradient. That of d is one row's product: left to autograd it is a product as large as the encoder's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, d: Tensor, w: Tensor, b: Tensor) -> Tensor:
        centred = x - d
        ctx.save_for_backward(centred, w)
        return F.linear(centred, w, b)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        centred, w = ctx.saved_tensors
        total = grad.sum(0)
        return None, -(total @ w), grad.T @ centred, total


class _Jump(torch.autograd.Function):
    """x · H(x − θ), whose threshold learns from latents within half the bandwidth of it (arXiv 2407.14435, appendix)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, theta: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(x, theta)
        ctx.width = width
        return x * (x > theta)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, theta = ctx.saved_tensors
        near = ((x - theta).abs() < ctx.width / 2).to(grad.dtype)
        return grad * (x > theta), -(theta / ctx.width * near * grad).sum(0), None


class _Step(torch.autograd.Function):
    """H(x − θ), with the same kernel for the threshold's gradient and none for x's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, theta: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(x, theta)
        ctx.width = width
        return (x > theta).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, theta = ctx.saved_tensors
        near = ((x - theta).abs() < ctx.width / 2).to(grad.dtype)
        return None, -(near / ctx.width * grad).sum(0), None


def largest_of_batch(pre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Keeps the k · B largest of pre [B, L] over the whole batch, 0 elsewhere; and the smallest that was kept."""
    values, places = pre.flatten().topk(min(k * len(pre), pre.numel()), sorted=False)
    kept = torch.zeros_like(pre).flatten().scatter(0, places, values).view_as(pre)
    positive = values[values > 0]
    return kept, positive.min().detach() if len(positive) else values.new_zeros(())


def _bags(active: Tensor, rows: Tensor) -> Tensor:
    """active @ rows for active [B, L] that is mostly 0, reading only the rows that are needed."""
    token, latent = active.nonzero(as_tuple=True)
    counts = torch.bincount(token, minlength=len(active))
    return F.embedding_bag(latent, rows, counts.cumsum(0) - counts, per_sample_weights=active[token, latent], mode="sum")


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _variance(x: Tensor) -> Tensor:
    """Σ (x − mean)² of the whole batch, of which x [B, D] is this process's share; divided by how many processes there are, which average what they find."""
    mean, world = x.mean(0), _processes()
    if world > 1:
        dist.all_reduce(mean)
        mean /= world
    variance = (x - mean).square().sum()
    if world > 1:
        dist.all_reduce(variance)
        variance /= world
    return variance


def _over_processes(value: Tensor) -> Tensor:
    """The mean over all processes' shares, which learns by this process's own."""
    world = _processes()
    if world == 1:
        return value
    mean = value.detach().clone()
    dist.all_reduce(mean)
    return value + (mean / world - value.detach())


class Learner:
    """A dictionary of L latents for states of width D. With several processes each gives its share of a batch, and gradients are averaged.

    Of `topk` and `jumprelu` that is the same as one process with the whole batch, as far as the order of a sum goes. `batchtopk` and `matryoshka` keep the
    largest of each share apart.

    Parameters
    ----------
    sample : float32 [N, D], hidden states from which the decoder's offset and the scale are taken; the same in every process
    """

    def __init__(self, settings: TrainSettings, sample: Tensor) -> None:
        self.settings = settings
        device, width = sample.device, sample.shape[1]
        generator = torch.Generator().manual_seed(settings.seed)
        # As a linear layer begins, with the decoder's rows along the encoder's.
        encoder = (torch.rand(settings.latents, width, generator=generator) * 2 - 1).to(device) / width**0.5
        mean = sample.mean(0)
        self.scale = float((sample - mean).square().mean().sqrt())
        if not self.scale > 0:
            raise FacetError("The hidden states do not vary, so there is nothing to learn from.", "invalid_request")
        rows = F.normalize(encoder, dim=1)
        self.parameters: dict[str, Tensor] = {
            "w_enc": rows.clone() if settings.kind == "jumprelu" else encoder,
            "b_enc": torch.zeros(settings.latents, device=device),
            "w_dec": rows,
            "b_dec": mean.clone(),
        }
        if settings.kind == "jumprelu":
            self.parameters["log_threshold"] = torch.full((settings.latents,), self._first_threshold(sample), device=device).log()
        for parameter in self.parameters.values():
            parameter.requires_grad_()
        self.optimizer = torch.optim.Adam(list(self.parameters.values()), lr=settings.rate, fused=True)
        # Tokens since a latent fired.
        self.idle = torch.zeros(settings.latents, dtype=torch.long, device=device)
        # Of batchtopk: what a latent has to exceed where there is no batch to compete with.
        self.threshold = torch.zeros((), device=device)

    def _first_threshold(self, sample: Tensor) -> float:
        """What about k latents of the untrained encoder exceed."""
        p = self.parameters
        pre = F.relu(F.linear(sample[:512] - p["b_dec"], p["w_enc"]))
        return float(pre.topk(min(self.settings.k, pre.shape[1]), dim=1).values[:, -1].median().clamp(min=1e-6))

    def pre(self, x: Tensor) -> Tensor:
        """ReLU(W_enc (x − b_dec) + b_enc), float32 [B, L]."""
        p = self.parameters
        pre: Tensor = _Centred.apply(x, p["b_dec"], p["w_enc"], p["b_enc"])
        return F.relu(pre)

    def _sparse(self, values: Tensor, indices: Tensor) -> Tensor:
        p = self.parameters
        return summed_rows(indices, values, p["w_dec"]) + p["b_dec"]

    def losses(self, x: Tensor) -> Losses:
        """The loss on hidden states [B, D]."""
        variance = _variance(x).clamp(min=1e-12)
        pre = self.pre(x)
        if self.settings.kind == "topk":
            out = self._topk(x, pre, variance)
        elif self.settings.kind == "jumprelu":
            out = self._jumprelu(x, pre, variance)
        else:
            out = self._nested(x, pre, variance)
        return out

    def _topk(self, x: Tensor, pre: Tensor, variance: Tensor) -> Losses:
        s = self.settings
        wide = min(4 * s.k, s.latents) if s.multi_topk else s.k
        more, places = pre.topk(wide, dim=1, sorted=s.multi_topk)
        values, indices = more[:, : s.k].contiguous(), places[:, : s.k].contiguous()
        error = x - self._sparse(values, indices)
        fvu = error.square().sum() / variance
        total = fvu + s.auxk_alpha * self._auxk(pre, error, variance)
        if s.multi_topk:
            total = total + (x - self._sparse(more, places)).square().sum() / variance / 8
        fired = torch.zeros_like(self.idle, dtype=torch.bool)
        fired[indices[values > 0]] = True
        return Losses(total, fvu.detach(), fired, float((values > 0).sum() / len(x)))

    def _nested(self, x: Tensor, pre: Tensor, variance: Tensor) -> Losses:
        """BatchTopK; of matryoshka, the mean over prefixes of the latents that each reconstruct alone."""
        s, p = self.settings, self.parameters
        active, least = largest_of_batch(pre, s.k)
        ends = [round(share * s.latents) for share in s.prefixes] if s.kind == "matryoshka" else [s.latents]
        out, total, begin = p["b_dec"].expand_as(x), x.new_zeros(()), 0
        for end in ends:
            out = out + _bags(active[:, begin:end], p["w_dec"][begin:end])
            begin = end
            fvu = (x - out).square().sum() / variance
            total = total + fvu / len(ends)
        total = total + s.auxk_alpha * self._auxk(pre, x - out, variance)
        return Losses(total, fvu.detach(), (active > 0).any(0), float((active > 0).sum() / len(x)), least)

    def _jumprelu(self, x: Tensor, pre: Tensor, variance: Tensor) -> Losses:
        s, p = self.settings, self.parameters
        theta, width = p["log_threshold"].exp(), s.bandwidth * self.scale * x.shape[1] ** 0.5
        active: Tensor = _Jump.apply(pre, theta, width)
        fvu = (x - active @ p["w_dec"] - p["b_dec"]).square().sum() / variance
        counted: Tensor = _Step.apply(pre, theta, width)
        l0 = _over_processes(counted.sum() / len(x))
        return Losses(fvu + s.sparsity * (l0 / s.k - 1).square(), fvu.detach(), (active > 0).any(0), float(l0.detach()))

    def _auxk(self, pre: Tensor, error: Tensor, variance: Tensor) -> Tensor:
        """What the strongest dead latents explain of the error: sparsify's term, whose weight falls with few dead ones."""
        dead = self.idle > self.settings.dead_after
        count = int(dead.sum())
        if not count or not self.settings.auxk_alpha:
            return error.new_zeros(())
        most = max(1, error.shape[1] // 2)
        values, among = pre[:, dead].topk(min(most, count), dim=1, sorted=False)
        guess = summed_rows(dead.nonzero()[:, 0][among], values, self.parameters["w_dec"])
        return min(count / most, 1.0) * (guess - error.detach()).square().sum() / variance

    def step(self, x: Tensor, step: int, tokens: int) -> Losses:
        """Learns from this process's share of a batch of `tokens` tokens in all.

        Raises
        ------
        FacetError : `engine_failed` when the loss is no finite number; nothing was changed by it.
        """
        out = self.losses(x)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        out.total.backward()
        self._share(out)
        if not torch.isfinite(out.total):
            raise FacetError(
                f"The loss of step {step} is {float(out.total.detach())}.",
                "engine_failed",
                fix="Go on from the last checkpoint with a smaller rate (lr), or look for numbers out of range in the hidden states.",
            )
        p = self.parameters["w_dec"]
        assert p.grad is not None
        with torch.no_grad():  # rows keep unit norm: the part of the gradient along a row only fights the normalisation
            p.grad -= (p.grad * p).sum(1, keepdim=True) * p
        self.optimizer.step()
        with torch.no_grad():
            p.copy_(F.normalize(p, dim=1))
        self.idle = torch.where(out.fired, 0, self.idle + tokens)
        if out.least is not None:
            self.threshold = out.least if step == 0 else 0.99 * self.threshold + 0.01 * out.least
        return out

    def _share(self, out: Losses) -> None:
        """Averages over processes what each found alone."""
        world = _processes()
        if world == 1:
            return
        numbers = [
            *(p.grad for p in self.parameters.values()),
            out.total.detach(),
            out.fvu,
            *([out.least] if out.least is not None else []),
        ]
        for number in numbers:
            assert number is not None
            dist.all_reduce(number)
            number /= world
        # What any process found out of range is so in all.
        out.total = numbers[len(self.parameters)]  # type: ignore[assignment]
        fired = out.fired.to(torch.uint8)
        dist.all_reduce(fired, op=dist.ReduceOp.MAX)
        out.fired = fired.bool()

    @property
    def dead_share(self) -> float:
        """Share of latents that count as dead."""
        return float((self.idle > self.settings.dead_after).float().mean())

    def dictionary(self) -> Dictionary:
        """The dictionary as it is now, to be measured or written; batchtopk and matryoshka by their threshold."""
        p = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        shared = (p["w_enc"], p["b_enc"], p["w_dec"], p["b_dec"])
        if self.settings.kind == "topk":
            return Dictionary(*shared, "topk", self.settings.k)
        if self.settings.kind == "jumprelu":
            return Dictionary(*shared, "jumprelu", threshold=p["log_threshold"].exp())
        return Dictionary(*shared, "batchtopk", self.settings.k, threshold=self.threshold.reshape(1).clone())

    def state(self) -> dict[str, Any]:
        """Everything that a step depends on, for a checkpoint."""
        return {
            "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "idle": self.idle,
            "threshold": self.threshold,
            "scale": self.scale,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint's state."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["parameters"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.idle = state["idle"].to(self.idle.device)
        self.threshold = state["threshold"].to(self.threshold.device)
        self.scale = state["scale"]
