"""One pass over an image set: for every feature its statistics, its top images and samples of where else it fires.

Memory is bounded by features × kept examples, whatever the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.codes import CodesWriter
from facet_worker.examples import BANDS, Bands, Example, Examples
from facet_worker.feature_state import TEXT_LIMIT, UNIT, FeatureState, Keep
from facet_worker.harvest import Harvester, Hidden, Item
from facet_worker.kept import Maps
from facet_worker.sae import TopKSae

__all__ = [
    "TEXT_LIMIT",
    "CacheBuilder",
    "Example",
    "FeatureCache",
    "FeatureStats",
    "Keep",
    "build_caches",
    "finished",
    "load_cache",
    "save_cache",
]
ALWAYS_ON = 0.5
SINK_SHARE = 0.5
SINK_CELLS = 3
SINK_IMAGES = 10


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
    examples: Sequence[Bands]


def _statistics(state: FeatureState) -> FeatureStats:
    image_sum, text_sum, lead_sum = (total / UNIT for total in (state.image_sum, state.text_sum, state.lead_sum))
    count, total = state.image_count + state.text_count, image_sum + text_sum
    elsewhere = np.maximum(state.text_max, state.lead_max)
    maximum = np.where(state.image_max > 0, state.image_max, elsewhere).astype(np.float64)
    dead = maximum == 0
    density = state.image_count / max(1, state.image_tokens)
    text_density = state.text_count / max(1, state.text_tokens)
    cells = min(SINK_CELLS, len(state.cell_sum))
    few = np.partition(state.cell_sum, -cells, 0)[-cells:].sum(0) / UNIT if cells else np.zeros(state.latents)
    everything = total + lead_sum
    sink = (lead_sum > SINK_SHARE * everything) | ((few > SINK_SHARE * everything) & (state.images >= SINK_IMAGES))
    return FeatureStats(
        density=density,
        text_density=text_density,
        max_activation=maximum,
        mean_activation=np.where(count > 0, total / np.maximum(count, 1), 0.0),
        image_share=np.where(total > 0, image_sum / np.maximum(total, 1e-30), np.nan),
        images=state.images,
        active_tokens=state.image_count,
        dead=dead,
        always_on=(density >= ALWAYS_ON) | (text_density >= ALWAYS_ON),
        sink=sink & ~dead,
        hist_counts=state.histograms.to_bins(state.image_max.astype(np.float64)),
        image_tokens=state.image_tokens,
        text_tokens=state.text_tokens,
    )


def _chosen(top: Maps, sample: Maps, keep: Keep, latents: int) -> dict[str, list[int]]:
    """Which rows of the sample each feature's other bands take: lists `feature`, `band`, `rank`, `row`."""
    peaks = np.maximum.reduceat(sample.values, sample.start).astype(np.float64) if len(sample) else np.zeros(0)
    ends = [np.searchsorted(table.feature, np.arange(latents + 1)) for table in (top, sample)]
    out: dict[str, list[int]] = {"feature": [], "band": [], "rank": [], "row": []}
    for feature in np.unique(sample.feature).tolist():
        shown = set(top.item[ends[0][feature] : ends[0][feature + 1]].tolist())
        drawn = range(int(ends[1][feature]), int(ends[1][feature + 1]))
        rest = sorted((row for row in drawn if int(sample.item[row]) not in shown), key=lambda row: (-peaks[row], sample.item[row]))
        third = len(rest) / 3
        bands = [rest[round(i * third) : round((i + 1) * third)] for i in range(3)]
        picked = [members[(step := max(1, len(members) // keep.band)) // 2 :: step][: keep.band] for members in bands]
        for band, rows in enumerate([*picked, list(drawn[: keep.random])], 1):
            out["feature"] += [feature] * len(rows)
            out["band"] += [band] * len(rows)
            out["rank"] += range(len(rows))
            out["row"] += rows
    return out


def _examples(state: FeatureState) -> Examples:
    top, sample, texts = state.top.settle(), state.sampled.settle(), state.texts.settle()
    chosen = {name: np.array(column, np.int64) for name, column in _chosen(top, sample, state.keep, state.latents).items()}
    parts = [top, sample.take(chosen["row"]), texts]
    ranks = [np.arange(len(part)) - np.searchsorted(part.feature, part.feature) for part in (top, texts)]
    rank = np.concatenate([ranks[0], chosen["rank"], ranks[1]])
    band = np.concatenate([np.zeros(len(top), np.int64), chosen["band"], np.full(len(texts), BANDS.index("text"))])
    maps = Maps.join(parts)
    order = np.lexsort((rank, band, maps.feature))
    maps = maps.take(order)
    columns: dict[str, npt.NDArray[Any]] = {
        "feature": maps.feature, "band": band[order].astype(np.int8), "rank": rank[order].astype(np.int16), "item": maps.item, "rows": maps.rows,
        "cols": maps.cols, "length": maps.length, "positions": maps.positions, "values": maps.values,
    }  # fmt: skip
    if len(maps):
        columns["peak"] = np.maximum.reduceat(maps.values, maps.start).astype(np.float64)
        columns["mean"] = np.add.reduceat(maps.values.astype(np.float64), maps.start) / (maps.rows * maps.cols)
    else:
        columns |= {"peak": np.zeros(0), "mean": np.zeros(0)}
    return Examples(state.latents, columns)


def finished(state: FeatureState) -> FeatureCache:
    """Everything that a list or a feature page shows, from what was counted."""
    return FeatureCache(_statistics(state), _examples(state))


def _arrays(codes: tuple[Tensor, Tensor]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    return codes[0].cpu().numpy(), codes[1].float().cpu().numpy()


class CacheBuilder:
    """Accumulates one dictionary's statistics while batches of hidden states go by, and writes their codes."""

    def __init__(self, sae: TopKSae, codes: CodesWriter, grid: int, keep: Keep) -> None:
        self.sae, self.codes, self.grid = sae, codes, grid
        self.state = FeatureState(sae.num_latents, keep)
        self.lead: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None
        self.texts = 0

    @torch.inference_mode()
    def add(self, hidden: Hidden) -> None:
        """Take in a batch in item order."""
        indices, values = _arrays(self.sae.encode(hidden.image))
        self.codes.images(indices.astype(np.uint16), values.astype(np.float16))
        state = self.state
        state.add_images(np.arange(state.items, state.items + len(indices)), (self.grid, self.grid), indices, values)
        if self.lead is None:
            self.lead = _arrays(self.sae.encode(hidden.prefix[0, : hidden.prefix.shape[1] - self.grid**2]))
        state.add_lead(*self.lead, times=len(indices))
        for text in (text for texts in hidden.texts for text in texts):
            one = _arrays(self.sae.encode(text))
            self.codes.add_text(one[0].astype(np.uint16), one[1].astype(np.float16))
            state.add_text(self.texts, self.lead, *one)
            self.texts += 1

    def finish(self) -> FeatureCache:
        """Close the codes and work out everything that a list or a feature page shows."""
        assert self.lead is not None
        self.codes.close(self.lead[0].astype(np.uint16), self.lead[1].astype(np.float16))
        return finished(self.state)


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
        layer: CacheBuilder(sae, CodesWriter(folders[layer], len(items), cells, sae.k, sae.num_latents), checkpoint.grid, keep or Keep())
        for layer, sae in saes.items()
    }
    done = 0
    for part, hidden in Harvester(checkpoint, list(saes)).batches(items, batch):
        for layer, builder in builders.items():
            builder.add(hidden[layer])
        done += len(part)
        if done % (batch * 25) == 0 or done == len(items):
            log(f"cached {done} of {len(items)} images")
    return {layer: builder.finish() for layer, builder in builders.items()}


def save_cache(cache: FeatureCache, path: Path) -> None:
    """Write a cache as plain arrays (npz)."""
    stats: dict[str, Any] = {f"stats.{field.name}": np.asarray(getattr(cache.stats, field.name)) for field in fields(FeatureStats)}
    with path.open("wb") as file:
        columns: dict[str, Any] = {**stats, **Examples.of(cache.examples).columns}
        np.savez(file, **columns)


def load_cache(path: Path) -> FeatureCache:
    """Read what `save_cache` wrote."""
    with np.load(path) as z:
        a = {name: z[name] for name in z.files}
    numbers: dict[str, Any] = {name[6:]: (value if value.ndim else int(value)) for name, value in a.items() if name.startswith("stats.")}
    stats = FeatureStats(**numbers)
    return FeatureCache(stats, Examples(len(stats.density), {name: array for name, array in a.items() if not name.startswith("stats.")}))
