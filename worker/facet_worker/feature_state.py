"""What is known of L features after some images, in memory that grows with L and the examples kept and not with the images.

States of different images add up to the same in any order: counts are integers, sums are integers in units of 2⁻²⁴ (every float16 is a multiple of it), and
ties are decided by an item's number. So a set can be cut into shards in any way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facet_worker.errors import FacetError
from facet_worker.examples import Ints
from facet_worker.histogram import Histograms
from facet_worker.kept import Kept, Maps
from facet_worker.token_draw import TokenDraw, lottery

UNIT = 2.0**24
TEXT_LIMIT = 96  # tokens of a text example that are kept
CELLS = 1024  # cells of an image whose sums are kept apart, to find features of fixed places
_SUMS = ("image_count", "text_count", "images", "image_sum", "text_sum", "lead_sum")
_PEAKS = ("image_max", "text_max", "lead_max")
_KEPT = ("top", "sampled", "texts")
_PACKED = ("cell_sum", "histogram")


@dataclass(frozen=True)
class Keep:
    """How many examples a feature keeps; the bands are drawn from `sample` random images on which it fires.

    `tokens`: on how many tokens, drawn at random, co-activation is counted; all, where there are fewer.
    """

    top: int = 5
    band: int = 3
    random: int = 5
    text: int = 5
    sample: int = 32
    tokens: int = 65_536


@dataclass
class Entries:
    """Positive activations one by one, in order of owner (image) and place: `owner`, `place`, `feature` [n] and `value` float16 [n]."""

    owner: Ints
    place: Ints
    feature: Ints
    value: npt.NDArray[np.float16]

    @classmethod
    def of_codes(cls, indices: npt.NDArray[Any], values: npt.NDArray[Any]) -> Entries:
        """From codes [owners, places, k], rounded to the float16 that is stored.

        Raises
        ------
        FacetError : `engine_failed` for values that float16 does not hold.
        """
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise FacetError("An activation is not finite or above 65,504, the largest that maps hold.", "engine_failed")
        owner, place, column = np.nonzero(half > 0)
        return cls(owner, place, indices[owner, place, column].astype(np.int64), half[owner, place, column])

    @property
    def fixed(self) -> Ints:
        """Values in units of 2⁻²⁴, exactly."""
        return np.asarray(self.value.astype(np.float64) * UNIT).astype(np.int64)


class FeatureState:
    """The state of L features. Items are numbers; an item is to be added once."""

    def __init__(self, latents: int, keep: Keep) -> None:
        self.latents, self.keep = latents, keep
        for name in _SUMS:
            setattr(self, name, np.zeros(latents, np.int64))
        for name in _PEAKS:
            setattr(self, name, np.zeros(latents, np.float32))
        self.image_count: Ints
        self.image_sum: Ints
        self.text_sum: Ints
        self.lead_sum: Ints
        self.text_count: Ints
        self.images: Ints
        self.image_max: npt.NDArray[np.float32]
        self.text_max: npt.NDArray[np.float32]
        self.lead_max: npt.NDArray[np.float32]
        self.cell_sum = np.zeros((0, latents), np.int64)
        self.histograms = Histograms(latents)
        self.top, self.sampled, self.texts = Kept(latents, keep.top), Kept(latents, max(keep.sample, keep.random)), Kept(latents, keep.text)
        self.tokens = TokenDraw(keep.tokens)
        self.image_tokens = self.text_tokens = self.items = 0

    def add_images(self, items: Ints, grid: tuple[int, int], indices: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Images [B] of one grid with their codes [B, rows · cols, k], zeros where fewer are active."""
        entries = Entries.of_codes(indices, values)
        size = grid[0] * grid[1]
        self.image_count += np.bincount(entries.feature, minlength=self.latents)
        fixed = entries.fixed
        np.add.at(self.image_sum, entries.feature, fixed)
        np.maximum.at(self.image_max, entries.feature, entries.value.astype(np.float32))
        self._add_cells(entries, fixed, min(size, CELLS))
        self.histograms.add(entries.feature, entries.value)
        maps, sums = _maps(entries, fixed, self.latents, items, grid)
        np.add.at(self.images, maps.feature, 1)
        maps.score = sums / UNIT / size
        self.top.offer(maps)
        # Columns are shared, the score is not.
        drawn = Maps(**{**vars(maps), "score": lottery(maps.item, maps.feature)})
        self.sampled.offer(drawn)
        self.tokens.add(items, 0, indices, values)
        self.image_tokens += len(items) * size
        self.items += len(items)

    def _add_cells(self, entries: Entries, fixed: Ints, cells: int) -> None:
        if cells > len(self.cell_sum):
            self.cell_sum = np.concatenate([self.cell_sum, np.zeros((cells - len(self.cell_sum), self.latents), np.int64)])
        near = entries.place < CELLS
        np.add.at(self.cell_sum.reshape(-1), (entries.place * self.latents + entries.feature)[near], fixed[near])

    def add_lead(self, indices: npt.NDArray[Any], values: npt.NDArray[Any], times: int) -> None:
        """Codes [T, k] of the tokens before the image, which `times` images share."""
        entries = Entries.of_codes(indices[None], values[None])
        np.add.at(self.lead_sum, entries.feature, entries.fixed * times)
        np.maximum.at(self.lead_max, entries.feature, entries.value.astype(np.float32))

    def add_text(
        self, item: int, lead: tuple[npt.NDArray[Any], npt.NDArray[Any]], indices: npt.NDArray[Any], values: npt.NDArray[Any]
    ) -> None:
        """A text behind an image: codes [T, k] of its tokens, and of those before the image, which an example shows too."""
        entries = Entries.of_codes(indices[None], values[None])
        self.text_count += np.bincount(entries.feature, minlength=self.latents)
        np.add.at(self.text_sum, entries.feature, entries.fixed)
        np.maximum.at(self.text_max, entries.feature, entries.value.astype(np.float32))
        self.text_tokens += len(indices)
        before, size = len(lead[0]), min(len(lead[0]) + len(indices), TEXT_LIMIT)
        parts = [Entries.of_codes(lead[0][None], lead[1][None]), entries]
        shown = Entries(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("owner", "place", "feature", "value")))
        shown.place[len(parts[0].place) :] += before
        visible = shown.place < TEXT_LIMIT
        shown = Entries(shown.owner[visible], shown.place[visible], shown.feature[visible], shown.value[visible])
        maps, _ = _maps(shown, shown.fixed, self.latents, np.array([item]), (1, size))
        if len(maps):
            maps.score = np.maximum.reduceat(maps.values.astype(np.float64), maps.start)
        self.texts.offer(maps)
        self.tokens.add(np.array([item]), 1, indices[None], values[None])

    def merge(self, other: FeatureState) -> None:
        """Adds the state of other items. Throws `engine_failed` when they do not fit."""
        if (self.latents, self.keep) != (other.latents, other.keep):
            raise FacetError("Two states of different dictionaries or settings cannot be added.", "engine_failed")
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _PEAKS:
            setattr(self, name, np.maximum(getattr(self, name), getattr(other, name)))
        if len(other.cell_sum) > len(self.cell_sum):
            self.cell_sum = np.concatenate([self.cell_sum, np.zeros((len(other.cell_sum) - len(self.cell_sum), self.latents), np.int64)])
        self.cell_sum[: len(other.cell_sum)] += other.cell_sum
        self.histograms.merge(other.histograms)
        for name in _KEPT:
            getattr(self, name).merge(getattr(other, name))
        self.tokens.merge(other.tokens)
        self.image_tokens += other.image_tokens
        self.text_tokens += other.text_tokens
        self.items += other.items
        if min(int(self.image_sum.min(initial=0)), int(self.lead_sum.min(initial=0)), int(self.text_sum.min(initial=0))) < 0:
            raise FacetError("The sum of a feature's activations exceeds what 64 bits hold.", "engine_failed")

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays in memory."""
        wide = int(self.cell_sum.nbytes) + int(self.histograms.counts.nbytes)
        packed = {key: array for key, array in self.arrays().items() if key.partition(".")[0] not in _PACKED}
        return wide + sum(int(array.nbytes) for array in packed.values())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays, for a file; equal states give equal arrays. What few images leave mostly empty takes little room."""
        out: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in (*_SUMS, *_PEAKS)}
        out |= {"exponent": self.histograms.exponent} | _packed("cell_sum", self.cell_sum) | _packed("histogram", self.histograms.counts)
        for name in _KEPT:
            out |= {f"{name}.{column}": array for column, array in getattr(self, name).arrays().items()}
        out |= {f"tokens.{column}": array for column, array in self.tokens.arrays().items()}
        out["numbers"] = np.array([self.latents, self.image_tokens, self.text_tokens, self.items, *asdict(self.keep).values()], np.int64)
        return out

    @classmethod
    def of_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> FeatureState:
        latents, image_tokens, text_tokens, items, *keep = (int(number) for number in arrays["numbers"])
        state = cls(latents, Keep(*keep))
        for name in (*_SUMS, *_PEAKS):
            setattr(state, name, arrays[name])
        state.cell_sum, state.histograms.counts = _unpacked("cell_sum", arrays), _unpacked("histogram", arrays)
        state.histograms.exponent = arrays["exponent"]
        for name in _KEPT:
            own = {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{name}.")}
            setattr(state, name, Kept.of_arrays(latents, getattr(state, name).keep, own))
        state.tokens = TokenDraw.of_arrays(
            state.keep.tokens, {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith("tokens.")}
        )
        state.image_tokens, state.text_tokens, state.items = image_tokens, text_tokens, items
        return state


def _packed(name: str, array: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """The array, or where and what its values are, whichever is smaller."""
    at = np.flatnonzero(array)
    if len(at) * (array.itemsize + 8) >= array.nbytes:
        return {name: array}
    kind = np.uint32 if array.size < 1 << 32 else np.int64
    return {f"{name}.shape": np.array(array.shape, np.int64), f"{name}.at": at.astype(kind), f"{name}.value": array.reshape(-1)[at]}


def _unpacked(name: str, arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    if name in arrays:
        return arrays[name]
    value = arrays[f"{name}.value"]
    out = np.zeros(tuple(arrays[f"{name}.shape"]), value.dtype)
    out.reshape(-1)[arrays[f"{name}.at"]] = value
    return out


def _maps(entries: Entries, fixed: Ints, latents: int, items: Ints, grid: tuple[int, int]) -> tuple[Maps, Ints]:
    """One map for each (owner, feature), without a score, and its sum in units of 2⁻²⁴."""
    key = entries.owner * latents + entries.feature
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    first = np.flatnonzero(np.concatenate([[True], sorted_key[1:] != sorted_key[:-1]])) if len(key) else np.zeros(0, np.int64)
    length = np.diff(np.concatenate([first, [len(key)]]))
    owner, feature = np.divmod(sorted_key[first], latents)
    sums = np.add.reduceat(fixed[order], first) if len(first) else np.zeros(0, np.int64)
    whole = np.full(len(first), 1, np.int32)
    maps = Maps(
        feature, np.zeros(len(first)), items[owner], whole * grid[0], whole * grid[1], length, entries.place[order].astype(np.uint16),
        entries.value[order],
    )  # fmt: skip
    return maps, sums
