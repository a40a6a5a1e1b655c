"""Checkpoints of several processes of which some were killed in between, and of a full disk."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import save_dictionary
from facet_worker.errors import FacetError
from facet_worker.pipeline.files import disk_errors
from facet_worker.training.planted import SETTINGS, Planted
from facet_worker.training.trainer import Trainer

TWENTY = replace(SETTINGS, steps=20)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer_of(folder: Path, world: int = 1) -> Trainer:
    return Trainer(TWENTY, Planted(), ["model.layers.0"], folder, 0, world)


@pytest.mark.parametrize(("others", "last"), [([10, 0], 10), ([20, 10], 20), ([0, 0], 0)])
def test_processes_go_on_from_the_last_checkpoint_that_all_have(
    others: list[int], last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two processes; the second is told of: it dies while step 20's checkpoint is written, and comes back with `others`."""
    monkeypatch.setattr(dist, "broadcast", lambda *_: None)
    theirs = [0]

    def all_gather(found: list[Tensor], own: Tensor) -> None:
        if theirs == [20]:
            raise RuntimeError("Connection closed by peer")
        found[0], found[1] = own, torch.tensor((theirs * 3)[:3])

    monkeypatch.setattr(dist, "all_gather", all_gather)
    first = trainer_of(tmp_path, 2)

    def tell(_: object) -> None:
        theirs[:] = [first.step + 1]

    with pytest.raises(RuntimeError, match="Connection closed"):
        first.run(save_every=10, tell=tell, tell_every=1)
    steps = {file.name: torch.load(file, weights_only=True)["step"] for file in tmp_path.iterdir()}
    assert steps == {"checkpoint-0-of-2.pt": 20, "checkpoint-0-of-2.previous.pt": 10}
    theirs[:] = others
    again = trainer_of(tmp_path, 2)
    assert again.step == last
    monkeypatch.setattr(dist, "all_gather", lambda found, own: found.__setitem__(slice(None), [own, own]))
    again.run(save_every=10)
    assert torch.equal(again.learners[0].parameters["w_dec"], first.learners[0].parameters["w_dec"])
    if last < 20:
        assert [file.name for file in tmp_path.iterdir()] == ["checkpoint-0-of-2.pt"]


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_the_checkpoint_before_it_stays(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    trainer.run(save_every=10)
    trainer.step = 30
    with full_disk(), pytest.raises(FacetError) as refused:
        trainer.save()
    assert refused.value.code == "disk_full"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint-0-of-1.pt"]
    assert trainer_of(tmp_path).step == 20
    # Of a dictionary's file safetensors tells.
    encoder, decoder = torch.ones(1000, 64), torch.ones(1000, 64)
    with full_disk(), pytest.raises(FacetError) as refused, disk_errors(tmp_path):
        save_dictionary(Dictionary(encoder, torch.zeros(1000), decoder, torch.zeros(64), "relu"), tmp_path / "dictionary")
    assert refused.value.code == "disk_full"
