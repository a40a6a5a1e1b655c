"""A cache by two workers that Ray Data feeds: the same bytes as by one, with a worker killed on the way, and only what is missing when it is run again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from facet_worker.errors import FacetError
from facet_worker.pipeline import cache_workers
from facet_worker.pipeline.cache_step import CacheSection, run
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import Settings, read_settings
from facet_worker.pipeline.steps import Context
from facet_worker.sae import TopKSae

pytest.importorskip("ray")

HOOK = "model.layers.1"
SHARDS = 12
TABLES = ("images", "texts", *(f"{HOOK}/{name}" for name in ("features", "activations", "neighbours", "tokens")))
NOTES = "FACET_TEST_NOTES"


class Noted(cache_workers.ShardWorker):
    """Notes which process makes which shard, and takes its time."""

    def make(self, number: int) -> None:
        (Path(os.environ[NOTES]) / f"{number}-{os.getpid()}").touch()
        time.sleep(0.3)
        if number == 5 and (Path(os.environ[NOTES]) / "full").exists():
            raise FacetError("The disk has no room for 00005.", "disk_full", fix="Free some space.")
        super().make(number)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What workers note. A socket's path has little room, so it lies right under /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="fr", dir="/tmp"))
    (folder / "notes").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    monkeypatch.setenv(NOTES, str(folder / "notes"))
    monkeypatch.setattr(cache_workers, "ShardWorker", Noted)
    yield folder / "notes"
    shutil.rmtree(folder, ignore_errors=True)


def settings_of(folder: Path, model: Path, name: str, more: str) -> Settings:
    file = folder / f"{name}.toml"
    file.write_text(
        f'run = "{name}"\n[model]\npath = "{model}"\nid = "tiny"\nunchecked_dictionary = true\ndevices = ["cpu"]\n[images]\npath = "set"\n'
        f'captions = true\n[[dictionaries]]\npath = "{HOOK}"\n[cache]\nside = 32\nshard = 1\nbatch = 1\n{more}\n'
    )
    return read_settings(file, {"cache": CacheSection})


def cached(settings: Settings) -> Path:
    with RunFolder.open(settings.run_folder) as folder:
        run(Context(settings, folder))
    return settings.run_folder / "cache"


def kill_one(notes: Path, killed: list[int]) -> None:
    """The first process that begins its second shard."""
    while not killed:
        counted = Counter(int(note.name.partition("-")[2]) for note in notes.iterdir() if "-" in note.name)
        again = [pid for pid, count in counted.items() if count > 1]
        if again:
            os.kill(again[0], signal.SIGKILL)
            killed.append(again[0])
        time.sleep(0.01)


def test_two_workers_make_what_one_makes_though_one_is_killed(
    tiny_folder: Path, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8], notes: Path, tmp_path: Path
) -> None:
    # As Ray gives each of its workers one.
    torch.set_num_threads(1)
    tiny_sae.save(tmp_path / HOOK)
    (tmp_path / "set").mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(tmp_path / "set" / f"{number}.png")
        (tmp_path / "set" / f"{number}.txt").write_text("a red dog" if number % 2 else "where is the cat ?")
    one = cached(settings_of(tmp_path, tiny_folder, "one", "workers = 1"))
    assert not list(notes.iterdir())
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(notes, killed), daemon=True)
    killer.start()
    settings = settings_of(tmp_path, tiny_folder, "two", "workers = 2")
    # A full disk is told as such, and what was made until then counts.
    (notes / "full").touch()
    with pytest.raises(FacetError, match="no room for 00005") as refused:
        cached(settings)
    assert refused.value.code == "disk_full"
    (notes / "full").unlink()
    shards = settings.run_folder / "cache" / "shards"
    before = {path: path.stat().st_mtime_ns for path in shards.glob("*.json")}
    assert 0 < len(before) < SHARDS
    two = cached(settings)
    assert killed
    makers = {name.name.partition("-")[2] for name in notes.iterdir()}
    assert len(makers - {str(killed[0])}) >= 2
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    for name in TABLES:
        assert (one / "bundle" / f"{name}.parquet").read_bytes() == (two / "bundle" / f"{name}.parquet").read_bytes(), name
    for number in range(SHARDS):
        assert (one / f"shards/{number:05}.{HOOK}.safetensors").read_bytes() == (
            two / f"shards/{number:05}.{HOOK}.safetensors"
        ).read_bytes()
