"""The catalogue's images: scenes encoded as people see them, with what the model sees of those very bytes."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image

from demo.tasks import TRAIN_WEIGHTS, Chat, ask, caption
from demo.vocab import encode_chat
from demo.world import IMAGE_PX, MODEL_PX, Scene, Split, render, sample_scene
from facet_worker.bundle import BundleImage, Text
from facet_worker.checkpoint import Checkpoint
from facet_worker.harvest import Item

WEBP_QUALITY = 60
SOURCE = "generated from Noto Emoji and Twemoji"
ATTRIBUTION = "Scenes are generated from Noto Emoji (© Google, Apache-2.0) and Twemoji (© Twitter and contributors, CC-BY-4.0); signs and some flags are our own."


@dataclass(frozen=True)
class Encoded:
    """A scene as WebP and the model's own view of that WebP, uint8 [96, 96, 3]."""

    seed: int
    data: bytes
    pixels: npt.NDArray[np.uint8]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def downsample(image: Image.Image) -> npt.NDArray[np.uint8]:
    """What the model sees of an image: squashed to its square, antialiased bilinear."""
    return np.asarray(image.convert("RGB").resize((MODEL_PX, MODEL_PX), Image.Resampling.BILINEAR))


def encode_scene(scene: Scene) -> Encoded:
    """Draw a scene crisply and encode it."""
    buffer = io.BytesIO()
    Image.fromarray(render(scene, IMAGE_PX)).save(buffer, "WEBP", quality=WEBP_QUALITY, method=5)
    return Encoded(scene.seed, buffer.getvalue(), downsample(Image.open(io.BytesIO(buffer.getvalue()))))


def _encode_seed(seed: int) -> Encoded:
    return encode_scene(sample_scene(seed, "catalogue"))


def make_images(path: Path, count: int, workers: int, log: Callable[[str], None] = print) -> None:
    """Write the first `count` catalogue scenes of different content to `path` (npz), drawn by some processes."""
    kept: list[Encoded] = []
    seen: set[str] = set()
    seed = 0
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        while len(kept) < count:
            wanted = min(500, max(32, count - len(kept)))
            for one in pool.imap(_encode_seed, range(seed, seed + wanted), chunksize=8):
                if one.sha256 not in seen and len(kept) < count:
                    seen.add(one.sha256)
                    kept.append(one)
            seed += wanted
            log(f"encoded {len(kept)} of {count} scenes")
    blob = b"".join(e.data for e in kept)
    np.savez(
        path, seeds=np.array([e.seed for e in kept]), pixels=np.stack([e.pixels for e in kept]), data=np.frombuffer(blob, np.uint8),
        ends=np.cumsum([len(e.data) for e in kept]),
    )  # fmt: skip


@dataclass
class Shown:
    """The catalogue's pictures: scene and encoded bytes of each."""

    scenes: list[Scene]
    data: list[bytes]

    def __len__(self) -> int:
        return len(self.scenes)

    def seen(self, numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
        """What the model sees of some of them, uint8 [n, 96, 96, 3]."""
        return np.stack([downsample(Image.open(io.BytesIO(self.data[number]))) for number in numbers])


@dataclass
class Catalogue(Shown):
    """The catalogue in memory: model pixels of each picture besides, and one conversation about each."""

    pixels: npt.NDArray[np.uint8]
    chats: list[Chat]

    def items(self) -> list[Item]:
        """What the cache runs over."""
        return [Item(self.pixels[i], (tuple(encode_chat(self.chats[i])[0]),)) for i in range(len(self))]

    def bundle_images(self) -> list[BundleImage]:
        return [
            BundleImage(hashlib.sha256(data).hexdigest(), data, "image/webp", IMAGE_PX, IMAGE_PX, SOURCE, caption(scene))
            for scene, data in zip(self.scenes, self.data, strict=True)
        ]

    def texts(self, checkpoint: Checkpoint, lead: list[int]) -> list[Text]:
        """The token strings, one an image, template included."""
        return [Text(checkpoint.shown_tokens([*lead, *encode_chat(chat)[0]]), i) for i, chat in enumerate(self.chats)]


def random_chat(scene: Scene, rng: np.random.Generator) -> Chat:
    """A conversation about a scene, tasks as often as half captions would have it; every scene can at least be described."""
    tasks = list(TRAIN_WEIGHTS)
    weights = np.array([TRAIN_WEIGHTS[t] for t in tasks])
    for _ in range(4):
        task = "caption" if rng.random() < 0.2 else tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]
        chat = ask(scene, task, rng)
        if chat is not None:
            return chat
    chat = ask(scene, "caption", rng)
    assert chat is not None
    return chat


def load_images(path: Path, limit: int | None = None) -> Catalogue:
    """Read what `make_images` wrote."""
    with np.load(path) as stored:
        seeds, pixels, blob, ends = (stored[name] for name in ("seeds", "pixels", "data", "ends"))
    count = len(seeds) if limit is None else min(limit, len(seeds))
    starts = [0, *ends[:-1]]
    scenes = [sample_scene(int(seed), "catalogue") for seed in seeds[:count]]
    data = [blob[starts[i] : ends[i]].tobytes() for i in range(count)]
    chats = [random_chat(scene, np.random.default_rng([7, scene.seed])) for scene in scenes]
    return Catalogue(scenes, data, pixels[:count], chats)


def load_bundle(folder: Path) -> Shown:
    """The pictures of a bundle; each one's scene is that of the next seed with the stored caption. Throws `ValueError` where there is none."""
    rows = pq.read_table(folder / "images.parquet", columns=["bytes", "caption"]).to_pylist()
    scenes: list[Scene] = []
    seed = 0
    for row in rows:
        scene = sample_scene(seed, "catalogue")
        while caption(scene) != row["caption"]:
            seed += 1
            if seed > 2 * len(rows) + 100:
                raise ValueError(f"{folder} holds pictures of other scenes than the catalogue's.")
            scene = sample_scene(seed, "catalogue")
        scenes.append(scene)
        seed += 1
    return Shown(scenes, [row["bytes"] for row in rows])


def split_items(split: Split, start: int, count: int, texts: int, seed: int) -> tuple[list[Scene], list[Item]]:
    """Fresh scenes of a split drawn at the model's size, each with some conversations; for training and held-out measures."""
    rng = np.random.default_rng([seed, count])
    scenes = [sample_scene(start + i, split) for i in range(count)]
    items = [Item(render(scene, MODEL_PX), tuple(tuple(encode_chat(random_chat(scene, rng))[0]) for _ in range(texts))) for scene in scenes]
    return scenes, items
