"""One pass over an image set: for every feature its statistics, its top images and samples of where else it fires.

Memory is bounded by features × kept examples, whatever the number of images; the codes themselves go to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.codes import Codes, CodesWriter, open_codes
from facet_worker.harvest import Harvester, Hidden, Item
from facet_worker.sae import TopKSae

TEXT_LIMIT = 96  # tokens of a text example that are kept
HIST_BINS = 32
ALWAYS_ON = 0.5
SINK_SHARE = 0.5
SINK_CELLS = 3
SINK_IMAGES = 10


@dataclass(frozen=True)
class Keep:
    """How many examples a feature keeps; the bands are drawn from `sample` random images on which it fires."""

    top: int = 5
    band: int = 3
    random: int = 5
    text: int = 5
    sample: int = 32


@dataclass
class Example:
    """One stored map: `item` is the image's (or text's) number, positions and values are sparse, mean is over all positions."""

    item: int
    positions: np.ndarray  # uint16
    values: np.ndarray  # float16
    size: int
    peak: float
    mean: float


@dataclass
class FeatureStats:
    """Per-feature numbers, each of shape [L]; see docs/formats.md for what they mean."""

    density: np.ndarray
    text_density: np.ndarray
    max_activation: np.ndarray
    mean_activation: np.ndarray
    image_share: np.ndarray
    images: np.ndarray
    active_tokens: np.ndarray
    dead: np.ndarray
    always_on: np.ndarray
    sink: np.ndarray
    hist_counts: np.ndarray  # [L, 32]
    image_tokens: int = 0
    text_tokens: int = 0


@dataclass
class FeatureCache:
    """Statistics and, by feature, examples by band (`top upper middle lower random text`)."""

    stats: FeatureStats
    examples: list[dict[str, list[Example]]] = field(default_factory=list)


class Keeper:
    """For each of L features the M highest-scoring maps seen so far."""

    def __init__(self, latents: int, keep: int, size: int) -> None:
        self.score = torch.full((latents, keep), -torch.inf, dtype=torch.float64)
        self.item = torch.full((latents, keep), -1, dtype=torch.long)
        self.maps = torch.zeros(latents, keep, size, dtype=torch.float16)

    def add(self, score: Tensor, items: Tensor, dense: Tensor) -> None:
        """Offer a batch: score [B, L] (−inf = never), item numbers [B], maps [B, size, L]."""
        keep = self.score.shape[1]
        floor = self.score[:, -1]
        rows = (score > floor).any(0).nonzero().flatten()
        if not len(rows):
            return
        joined = torch.cat([self.score[rows], score[:, rows].T.double()], 1)
        # ties go to the earlier item, so that the order of batches decides nothing
        best, where = torch.sort(joined, dim=1, descending=True, stable=True)
        best, where = best[:, :keep], where[:, :keep]
        numbers = torch.cat([self.item[rows], items.expand(len(rows), -1)], 1)
        fresh = where >= keep
        old = torch.gather(self.maps[rows], 1, where.clamp(max=keep - 1)[..., None].expand(-1, -1, self.maps.shape[2]))
        r, m = fresh.nonzero(as_tuple=True)
        old[r, m] = dense[where[r, m] - keep, :, rows[r]].half()
        self.score[rows], self.item[rows], self.maps[rows] = best, numbers.gather(1, where), old

    def examples(self, feature: int, sizes: Callable[[int], int]) -> list[Example]:
        """The kept examples of one feature, best first."""
        out = []
        for m in range(self.score.shape[1]):
            if torch.isinf(self.score[feature, m]):
                break
            item = int(self.item[feature, m])
            size = sizes(item)
            dense = self.maps[feature, m, :size].numpy()
            positions = np.flatnonzero(dense).astype(np.uint16)
            values = dense[positions]
            out.append(Example(item, positions, values, size, float(values.max(initial=0)), float(values.astype(np.float32).sum() / size)))
        return out


def _lottery(items: Tensor, latents: int) -> Tensor:
    """A fixed random number in 0..1 for each (item, feature), float64 [B, L]; no generator state, so batching changes nothing."""
    with np.errstate(over="ignore"):
        x = items.numpy().astype(np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15) + np.arange(latents, dtype=np.uint64)[
            None
        ] * np.uint64(0xD1B54A32D192ED03)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return torch.from_numpy((x >> np.uint64(11)).astype(np.float64) / 2**53)


def _dense(indices: Tensor, values: Tensor, latents: int) -> Tensor:
    """[.., n, k] codes → [.., n, L], rounded to the float16 that is stored."""
    return torch.zeros(*indices.shape[:-1], latents).scatter_(-1, indices, values.half().float())


class CacheBuilder:
    """Accumulates one dictionary's statistics while batches of hidden states go by."""

    def __init__(self, sae: TopKSae, codes: CodesWriter, cells: int, keep: Keep) -> None:
        self.sae, self.codes, self.cells, self.keep = sae, codes, cells, keep
        n = sae.num_latents
        self.top = Keeper(n, keep.top, cells)
        self.sampled = Keeper(n, max(keep.sample, keep.random), cells)
        self.texts = Keeper(n, keep.text, TEXT_LIMIT)
        self.text_size: list[int] = []
        self.image_count, self.text_count, self.images = (torch.zeros(n, dtype=torch.float64) for _ in range(3))
        self.text_sum, self.image_max, self.text_max = (torch.zeros(n, dtype=torch.float64) for _ in range(3))
        self.cell_sum = torch.zeros(cells, n, dtype=torch.float64)
        self.lead_sum = torch.zeros(n, dtype=torch.float64)
        self.lead: tuple[Tensor, Tensor] | None = None
        self.image_tokens = self.text_tokens = self.item = 0

    @torch.inference_mode()
    def add(self, hidden: Hidden) -> None:
        """Take in a batch in item order."""
        indices, values = self.sae.encode(hidden.image)
        self.codes.images(indices.numpy().astype(np.uint16), values.numpy().astype(np.float16))
        dense = _dense(indices, values, self.sae.num_latents)
        items = torch.arange(self.item, self.item + len(dense))
        active = dense > 0
        peak = dense.amax(1)
        fires = peak > 0
        never = torch.tensor(-torch.inf, dtype=torch.float64)
        self.top.add(torch.where(fires, dense.double().mean(1), never), items, dense)
        self.sampled.add(torch.where(fires, _lottery(items, self.sae.num_latents), never), items, dense)
        self.images += fires.sum(0)
        self.image_count += active.sum((0, 1))
        self.cell_sum += dense.double().sum(0)
        self.image_max = torch.maximum(self.image_max, peak.amax(0).double())
        self.image_tokens += dense.shape[0] * dense.shape[1]
        if self.lead is None:
            lead = self.sae.encode(hidden.prefix[0, : hidden.prefix.shape[1] - self.cells])
            self.lead = lead
        lead_dense = _dense(*self.lead, self.sae.num_latents)
        self.lead_sum += lead_dense.double().sum(0) * len(dense)
        for _b, texts in enumerate(hidden.texts):
            for text in texts:
                self._add_text(text, lead_dense)
        self.item += len(dense)

    def _add_text(self, text: Tensor, lead_dense: Tensor) -> None:
        indices, values = self.sae.encode(text)
        self.codes.add_text(indices.numpy().astype(np.uint16), values.numpy().astype(np.float16))
        dense = _dense(indices, values, self.sae.num_latents)
        self.text_count += (dense > 0).sum(0)
        self.text_sum += dense.double().sum(0)
        self.text_max = torch.maximum(self.text_max, dense.amax(0).double())
        self.text_tokens += len(dense)
        shown = torch.cat([lead_dense, dense])[:TEXT_LIMIT]
        size = len(shown)
        padded = torch.zeros(1, TEXT_LIMIT, dense.shape[1])
        padded[0, :size] = shown
        peak = shown.amax(0).double()
        number = len(self.text_size)
        self.text_size.append(size)
        self.texts.add(torch.where(peak > 0, peak, -torch.inf)[None], torch.tensor([number]), padded)

    def finish(self, folder: Path) -> FeatureCache:
        """Close the codes and work out everything that a list or a feature page shows."""
        assert self.lead is not None
        self.codes.close(self.lead[0].numpy().astype(np.uint16), self.lead[1].numpy().astype(np.float16))
        stats = self._stats(open_codes(folder))
        examples = [self._examples(f) for f in range(self.sae.num_latents)]
        return FeatureCache(stats, examples)

    def _examples(self, feature: int) -> dict[str, list[Example]]:
        top = self.top.examples(feature, lambda _: self.cells)
        sample = self.sampled.examples(feature, lambda _: self.cells)
        shown = {e.item for e in top}
        rest = sorted((e for e in sample if e.item not in shown), key=lambda e: (-e.peak, e.item))
        third = len(rest) / 3
        bands = {name: rest[round(i * third) : round((i + 1) * third)] for i, name in enumerate(("upper", "middle", "lower"))}
        out = {"top": top}
        for name, members in bands.items():
            step = max(1, len(members) // self.keep.band)
            out[name] = members[step // 2 :: step][: self.keep.band]
        out["random"] = sample[: self.keep.random]
        out["text"] = self.texts.examples(feature, lambda t: self.text_size[t])
        return out

    def _stats(self, codes: Codes) -> FeatureStats:
        image_sum = self.cell_sum.sum(0)
        count = self.image_count + self.text_count
        total = image_sum + self.text_sum
        lead_max = _dense(*self.lead, self.sae.num_latents).amax(0).double() if self.lead else torch.zeros_like(total)
        maximum = torch.where(self.image_max > 0, self.image_max, torch.maximum(self.text_max, lead_max))
        dead = maximum == 0
        density = self.image_count / max(1, self.image_tokens)
        text_density = self.text_count / max(1, self.text_tokens)
        share = torch.where(total > 0, image_sum / total.clamp(min=1e-30), torch.nan)
        few = self.cell_sum.topk(min(SINK_CELLS, self.cells), 0).values.sum(0)
        everything = total + self.lead_sum
        sink = (self.lead_sum > SINK_SHARE * everything) | ((few > SINK_SHARE * everything) & (self.images >= SINK_IMAGES))
        return FeatureStats(
            density=density.numpy(),
            text_density=text_density.numpy(),
            max_activation=maximum.numpy(),
            mean_activation=torch.where(count > 0, total / count.clamp(min=1), 0.0).numpy(),
            image_share=share.numpy(),
            images=self.images.long().numpy(),
            active_tokens=self.image_count.long().numpy(),
            dead=dead.numpy(),
            always_on=((density >= ALWAYS_ON) | (text_density >= ALWAYS_ON)).numpy(),
            sink=(sink & ~dead).numpy(),
            hist_counts=histograms(codes, self.image_max.numpy()),
            image_tokens=self.image_tokens,
            text_tokens=self.text_tokens,
        )


def histograms(codes: Codes, maximum: np.ndarray, chunk: int = 256) -> np.ndarray:
    """Counts int64 [L, 32] of active image tokens in equal bins from 0 to each feature's maximum [L]."""
    counts = np.zeros(codes.num_latents * HIST_BINS, np.int64)
    scale = HIST_BINS / np.maximum(maximum, 1e-30)
    for start in range(0, codes.images, chunk):
        indices = codes.image_indices[start : start + chunk].reshape(-1)
        values = codes.image_values[start : start + chunk].reshape(-1)
        active = values > 0
        index = indices[active].astype(np.int64)
        bins = np.minimum((values[active].astype(np.float64) * scale[index]).astype(np.int64), HIST_BINS - 1)
        counts += np.bincount(index * HIST_BINS + bins, minlength=len(counts))
    return counts.reshape(codes.num_latents, HIST_BINS)


def build_caches(
    checkpoint: Checkpoint, saes: dict[int, TopKSae], items: Sequence[Item], folders: dict[int, Path], keep: Keep | None = None, batch: int = 32,
    log: Callable[[str], None] = print,
) -> dict[int, FeatureCache]:  # fmt: skip
    """Run the image set once through the model and fill one cache for each hook.

    Parameters
    ----------
    saes : the dictionary at each block
    items : images (already de-duplicated by content) with their texts
    folders : where each hook's codes go
    """
    cells = checkpoint.grid**2
    builders = {
        layer: CacheBuilder(sae, CodesWriter(folders[layer], len(items), cells, sae.k, sae.num_latents), cells, keep or Keep())
        for layer, sae in saes.items()
    }
    done = 0
    for part, hidden in Harvester(checkpoint, list(saes)).batches(items, batch):
        for layer, builder in builders.items():
            builder.add(hidden[layer])
        done += len(part)
        if done % (batch * 25) == 0 or done == len(items):
            log(f"cached {done} of {len(items)} images")
    return {layer: builder.finish(folders[layer]) for layer, builder in builders.items()}


_BANDS = ("top", "upper", "middle", "lower", "random", "text")


def save_cache(cache: FeatureCache, path: Path) -> None:
    """Write a cache as plain arrays (npz)."""
    rows = [(f, _BANDS.index(band), e) for f, bands in enumerate(cache.examples) for band, examples in bands.items() for e in examples]
    stats: dict[str, Any] = {f"stats.{name}": np.asarray(value) for name, value in vars(cache.stats).items()}
    joined = [np.concatenate([getattr(e, name) for _, _, e in rows] or [np.zeros(0)]) for name in ("positions", "values")]
    np.savez(
        path, **stats, feature=[f for f, _, _ in rows], band=[b for _, b, _ in rows], item=[e.item for _, _, e in rows], size=[e.size for _, _, e in rows],
        peak=[e.peak for _, _, e in rows], mean=[e.mean for _, _, e in rows], length=[len(e.positions) for _, _, e in rows],
        positions=joined[0].astype(np.uint16), values=joined[1].astype(np.float16),
    )  # fmt: skip


def load_cache(path: Path) -> FeatureCache:
    """Read what `save_cache` wrote."""
    with np.load(path) as z:
        a = {name: z[name] for name in z.files}
    numbers: dict[str, Any] = {name[6:]: (value if value.ndim else int(value)) for name, value in a.items() if name.startswith("stats.")}
    stats = FeatureStats(**numbers)
    examples: list[dict[str, list[Example]]] = [{band: [] for band in _BANDS} for _ in range(len(stats.density))]
    ends = np.cumsum(a["length"])
    for i, end in enumerate(ends):
        part = slice(int(end - a["length"][i]), int(end))
        example = Example(
            int(a["item"][i]), a["positions"][part], a["values"][part], int(a["size"][i]), float(a["peak"][i]), float(a["mean"][i])
        )
        examples[int(a["feature"][i])][_BANDS[int(a["band"][i])]].append(example)
    return FeatureCache(stats, examples)
