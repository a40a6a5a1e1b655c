"""Each kind of dictionary finds planted directions; a killed run goes on bit for bit; processes agree; states are the model's own."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.dictionaries import Dictionary
from facet_worker.errors import FacetError
from facet_worker.harvest import Item, collect
from facet_worker.prompting import Prompt
from facet_worker.training import held_out as held_out_module
from facet_worker.training.held_out import held_out
from facet_worker.training.learner import Learner, largest_of_batch
from facet_worker.training.model_source import Example, ModelSource
from facet_worker.training.planted import SETTINGS, Planted
from facet_worker.training.settings import TrainSettings
from facet_worker.training.stream import Stream
from facet_worker.training.trainer import Trainer

SMALL = TrainSettings(latents=64, k=3, steps=400, batch=256, lr=3e-3, warmup=20, dead_after=20_000, buffer=4096)


def shown(pictures: np.ndarray, i: int) -> np.ndarray:
    return pictures[i]


KINDS = {
    "topk": SMALL,
    "batchtopk": replace(SMALL, kind="batchtopk"),
    "matryoshka": replace(SMALL, kind="matryoshka"),
    "jumprelu": replace(SMALL, kind="jumprelu", bandwidth=0.05),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", KINDS)
def test_finds_planted_directions(kind: str, tmp_path: Path) -> None:
    source = Planted()
    trainer = Trainer(KINDS[kind], source, ["model.layers.0"], tmp_path)
    before = trainer.learners[0].dictionary()
    trainer.run()
    dictionary = trainer.learners[0].dictionary()
    states = source.piece(10_000)[:, 0]
    fvu = [_fvu(one, states) for one in (before, dictionary)]
    assert fvu[1] < 0.15 < 0.5 < fvu[0]
    # Each planted direction has a latent of its own.
    cosines = (F.normalize(source.rows, dim=1) @ dictionary.w_dec.T).max(1).values
    assert float((cosines > 0.9).float().mean()) > 0.7
    _, values = dictionary.encode(states)
    assert 2.5 < float((values > 0).sum() / len(states)) < 3.5
    torch.testing.assert_close(dictionary.w_dec.norm(dim=1), torch.ones(64), atol=1e-5, rtol=0)


def test_nested_dictionaries_reconstruct_alone_and_others_do_not(tmp_path: Path) -> None:
    found = {}
    for kind in ("matryoshka", "batchtopk"):
        trainer = Trainer(KINDS[kind], Planted(), ["model.layers.0"], tmp_path / kind)
        trainer.run()
        whole = trainer.learners[0].dictionary()
        # The first quarter of the latents, of which a quarter of the directions can be known.
        part = Dictionary(whole.w_enc[:16], whole.b_enc[:16], whole.w_dec[:16], whole.b_dec, "batchtopk", 3, threshold=whole.threshold)
        states = Planted().piece(10_000)[:, 0]
        found[kind] = _fvu(part, states), _fvu(whole, states)
    assert found["matryoshka"][0] < 0.9 * found["batchtopk"][0], found
    assert max(whole for _, whole in found.values()) < 0.15


def _fvu(dictionary: Dictionary, states: Tensor) -> float:
    error = states - dictionary.decode(*dictionary.encode(states))
    return float(error.square().sum() / (states - states.mean(0)).square().sum())


def test_the_loss_is_the_papers() -> None:
    settings = TrainSettings(latents=48, k=3, batch=40, buffer=80, dead_after=10)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 8)).astype(np.float32)
    learner = Learner(settings, torch.from_numpy(x))
    learner.idle[:30] = 100
    found = learner.losses(torch.from_numpy(x))
    w_enc, b_enc, w_dec, b_dec = (
        learner.parameters[name].detach().numpy().astype(np.float64) for name in ("w_enc", "b_enc", "w_dec", "b_dec")
    )
    pre = np.maximum((x - b_dec) @ w_enc.T + b_enc, 0)

    def decoded(active: np.ndarray, k: int) -> np.ndarray:
        kept = np.zeros_like(active)
        for row, values in enumerate(active):
            top = np.argsort(-values)[:k]
            kept[row, top] = values[top]
        return kept @ w_dec

    variance = ((x - x.mean(0)) ** 2).sum()
    error = x - decoded(pre, 3) - b_dec
    fvu = (error**2).sum() / variance
    dead = pre.copy()
    dead[:, 30:] = 0
    auxk = ((decoded(dead, 4) - error) ** 2).sum() / variance
    wide = ((x - decoded(pre, 12) - b_dec) ** 2).sum() / variance
    np.testing.assert_allclose(float(found.fvu), fvu, rtol=1e-5)
    np.testing.assert_allclose(float(found.total.detach()), fvu + auxk / 32 + wide / 8, rtol=1e-5)
    assert TrainSettings().rate == pytest.approx(2e-4 / 8**0.5)


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_the_gradient_is_that_of_the_loss_as_it_is_written(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainSettings(kind=kind, latents=48, k=3, batch=40, buffer=80)
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) + 3
    learner = Learner(settings, x)

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(learner.losses(x).total, list(learner.parameters.values()), materialize_grads=True))

    found = gradients()
    p = learner.parameters
    monkeypatch.setattr(learner, "pre", lambda x: torch.relu((x - p["b_dec"]) @ p["w_enc"].T + p["b_enc"]))
    for one, wanted in zip(found, gradients(), strict=True):
        assert float(wanted.abs().max()) > 0
        torch.testing.assert_close(one, wanted, rtol=1e-4, atol=1e-6)


def test_keeps_the_largest_of_the_whole_batch() -> None:
    pre = torch.tensor([[5.0, 4.0, 3.0, 0.0], [0.5, 0.1, 0.0, 0.0]])
    kept, least = largest_of_batch(pre, 2)
    assert kept.tolist() == [[5.0, 4.0, 3.0, 0.0], [0.5, 0.0, 0.0, 0.0]]
    assert float(least) == 0.5


def test_dead_latents_pay_for_what_is_left() -> None:
    x = Planted().piece(0)[:, 0]
    learner = Learner(SMALL, x)
    learner.idle[:] = 0
    without = float(learner.losses(x).total.detach())
    learner.idle[:40] = 1_000_000
    out = learner.losses(x)
    assert float(out.total.detach()) > without
    out.total.backward()
    quiet = ~out.fired[:40]
    assert learner.parameters["w_dec"].grad is not None
    assert float(learner.parameters["w_dec"].grad[:40][quiet].abs().sum()) > 0


def test_a_loss_out_of_range_changes_nothing(tmp_path: Path) -> None:
    x = Planted().piece(0)[:, 0]
    learner = Learner(SMALL, x)
    before = learner.parameters["w_dec"].detach().clone()
    broken = x.clone()
    broken[3, 2] = float("nan")
    with pytest.raises(FacetError, match="The loss of step 0 is nan"):
        learner.step(broken, 0, len(x))
    assert torch.equal(before, learner.parameters["w_dec"])


@pytest.mark.parametrize("kind", ["topk", "matryoshka"])
def test_goes_on_as_if_nothing_had_happened(kind: str, tmp_path: Path) -> None:
    settings = replace(KINDS[kind], steps=60)
    whole = Trainer(settings, Planted(hooks=2), ["a.layers.0", "a.layers.1"], tmp_path / "whole")
    whole.run()
    broken = Trainer(settings, Planted(hooks=2), ["a.layers.0", "a.layers.1"], tmp_path / "broken")
    source = broken.stream.source

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.run(save_every=20, tell=stop, tell_every=33)
    again = Trainer(settings, source, ["a.layers.0", "a.layers.1"], tmp_path / "broken")
    assert again.step == 20
    again.run()
    for one, other in zip(whole.learners, again.learners, strict=True):
        for name in one.parameters:
            assert torch.equal(one.parameters[name], other.parameters[name]), name


def test_refuses_a_checkpoint_of_another_training(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=2)
    Trainer(settings, Planted(), ["a.layers.0"], tmp_path).run()
    with pytest.raises(FacetError, match=r"is of another training: k is 5, was 3"):
        Trainer(replace(settings, k=5), Planted(), ["a.layers.0"], tmp_path)
    (tmp_path / "checkpoint-0-of-1.pt").write_bytes(b"no checkpoint")
    with pytest.raises(FacetError, match="cannot be read"):
        Trainer(settings, Planted(), ["a.layers.0"], tmp_path)


def test_a_killed_process_goes_on(tmp_path: Path) -> None:
    """SIGKILL between checkpoints; the next process ends with the same weights as one that nobody disturbed."""
    command = [sys.executable, "-m", "facet_worker.training.planted"]
    child = subprocess.Popen([*command, str(tmp_path / "killed"), "0.02"])
    checkpoint = tmp_path / "killed" / "checkpoint-0-of-1.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert torch.load(checkpoint, weights_only=True)["step"] < 60
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    Trainer(SETTINGS, Planted(), ["model.layers.0"], tmp_path / "whole").run()
    states = [
        torch.load(tmp_path / folder / checkpoint.name, weights_only=True)["learners"][0]["parameters"] for folder in ("killed", "whole")
    ]
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name


def test_processes_learn_one_dictionary(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    subprocess.run([*launch, "-m", "facet_worker.training.planted", str(tmp_path)], check=True, env=environment, timeout=120)
    first, second = (torch.load(tmp_path / f"checkpoint-{rank}-of-2.pt", weights_only=True) for rank in (0, 1))
    for name, parameter in first["learners"][0]["parameters"].items():
        assert torch.equal(parameter, second["learners"][0]["parameters"][name]), name
    # Each learned from pieces of its own.
    assert {first["stream"]["next_piece"] % 2, second["stream"]["next_piece"] % 2} == {0, 1}
    p = first["learners"][0]["parameters"]
    dictionary = Dictionary(p["w_enc"], p["b_enc"], p["w_dec"], p["b_dec"], "topk", 3)
    assert _fvu(dictionary, Planted().piece(10_000)[:, 0]) < 0.5


SHARED = {kind: KINDS[kind] for kind in ("topk", "jumprelu")}


def _shared_steps(settings: TrainSettings, rank: int, world: int) -> dict[str, Tensor]:
    """Parameters after some steps on the same batches, of which each process has its share."""
    source = Planted()
    learner = Learner(settings, source.piece(0)[:, 0])
    # Dead at first, so that the term for them is shared as well.
    learner.idle[:40] = 2 * settings.dead_after
    for step in range(30):
        batch = torch.cat([source.piece(2 * step + part)[:, 0] for part in (0, 1)])
        learner.step(batch[rank::world].clone(), step, len(batch))
    return {name: parameter.detach() for name, parameter in learner.parameters.items()}


def _share(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save({kind: _shared_steps(settings, rank, 2) for kind, settings in SHARED.items()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_learn_what_one_learns_from_the_same_batches(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_share, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for kind, settings in SHARED.items():
            for name, parameter in _shared_steps(settings, 0, 1).items():
                torch.testing.assert_close(found[kind][name], parameter, atol=1e-4, rtol=1e-3)


def test_the_stream_is_bounded_and_mixes() -> None:
    source = Planted()
    stream = Stream(source, 2000, 0)
    for _ in range(40):
        assert stream.batch(100).shape == (100, 1, 32)
        assert stream.held is not None
        assert len(stream.held) <= 2000 + 128
    assert stream.next_piece * 128 >= 4000


def test_states_are_the_models_own(tiny: Checkpoint, pictures: np.ndarray) -> None:
    examples = [Example(str(i), partial(shown, pictures, i), "what is a dog ?") for i in range(4)]
    source = ModelSource(tiny.model, tiny.processor, ["model.layers.2", "model.layers.0"], examples, "both", 0, together=4)
    states = source.piece(0)
    # 16 cells and 5 words each; the template's markers and the first token are left out.
    assert states.shape == (4 * 21, 2, 32)
    order = [int(i) for i in source._round[1]]
    text = tuple(int(i) for i in source.prompt(examples[0]).inputs["input_ids"][0][-5:])
    own = collect(tiny, [Item(pictures[i], (text,)) for i in order], [0, 2], batch=4)
    for hook, layer in enumerate((2, 0)):
        images = states[:, hook].reshape(4, 21, 32)[:, :16].reshape(-1, 32)
        torch.testing.assert_close(images, own[layer].image.float(), atol=1e-3, rtol=1e-3)
        assert not torch.allclose(images, states[:, 1 - hook].reshape(4, 21, 32)[:, :16].reshape(-1, 32))


def test_learns_from_image_tokens_text_tokens_or_both(tiny: Checkpoint, pictures: np.ndarray) -> None:
    examples = [Example("one", partial(shown, pictures, 0), "what is a dog ?"), Example("two", partial(shown, pictures, 1))]
    found = {
        tokens: ModelSource(tiny.model, tiny.processor, ["model.layers.1"], examples, tokens, 0, together=2).piece(0)
        for tokens in ("image", "text", "both")
    }
    assert {tokens: len(states) for tokens, states in found.items()} == {"image": 32, "text": 5, "both": 37}
    every = {tuple(state.flatten().tolist()) for state in found["both"]}
    assert every == {tuple(state.flatten().tolist()) for tokens in ("image", "text") for state in found[tokens]}


def test_holds_states_in_the_models_own_dtype(tiny: Checkpoint, pictures: np.ndarray) -> None:
    model = copy.deepcopy(tiny.model).bfloat16()
    source = ModelSource(model, tiny.processor, ["model.layers.1"], [Example("one", partial(shown, pictures, 0))], "image", 0)
    stream = Stream(source, 64, 0)
    batch = stream.batch(16)
    assert stream.held is not None
    assert (stream.held.dtype, batch.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(batch, batch.bfloat16().float())


def test_counts_what_cannot_be_read(tiny: Checkpoint, pictures: np.ndarray) -> None:
    def unreadable() -> np.ndarray:
        raise FacetError("bad.png cannot be read.", "unreadable_image")

    examples = [Example("good", lambda: pictures[0]), Example("bad", unreadable)]
    source = ModelSource(tiny.model, tiny.processor, ["model.layers.1"], examples, "image", 0, together=2)
    assert source.piece(0).shape == (16, 1, 32)
    assert source.piece(1).shape == (16, 1, 32)
    assert source.causes == {"bad.png cannot be read.": 2}
    # Those of a run before it was killed are kept with its checkpoint.
    state = Stream(source, 32, 0).state()
    source.causes = Counter()
    Stream(source, 32, 0).restore(state)
    assert source.causes == {"bad.png cannot be read.": 2}
    only = ModelSource(tiny.model, tiny.processor, ["model.layers.1"], examples[1:], "image", 0)
    with pytest.raises(FacetError, match="held no token"):
        Stream(only, 100, 0).batch(10)


def test_a_perfect_dictionary_keeps_the_loss_and_none_loses_it(
    tiny: Checkpoint, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = torch.eye(32)
    perfect = Dictionary(torch.cat([eye, -eye]), torch.zeros(64), torch.cat([eye, -eye]), torch.zeros(32), "relu")
    silent = Dictionary(torch.zeros(64, 32), torch.zeros(64), torch.cat([eye, -eye]), torch.zeros(32), "relu")
    examples = [Example(str(i), partial(shown, pictures, i), "a red dog" if i % 2 else "where is it ?") for i in range(4)]
    source = ModelSource(tiny.model, tiny.processor, ["model.layers.0", "model.layers.1"], examples, "both", 0)
    good, bad = held_out(source, [perfect, silent], examples)
    assert good["explained_variance"] == pytest.approx(1, abs=1e-4)
    assert good["loss_recovered"] == pytest.approx(1, abs=1e-2)
    assert good["loss_words"] == 2 * 3 + 2 * 4
    assert bad["loss_reconstructed"] != pytest.approx(bad["loss_clean"], abs=1e-3)
    assert bad["l0"] == 0
    assert bad["silent_share"] == 1
    # Where nothing that is said depends on the states, there is no loss to recover, and the report can be written all the same.
    with monkeypatch.context() as blind:
        blind.setattr(held_out_module, "_losses", lambda source, inputs, words, hook, change: torch.zeros(len(words)))
        undefined = held_out(source, [perfect, silent], examples)
    assert [row["loss_recovered"] for row in undefined] == [None, None]
    assert json.dumps(undefined, allow_nan=False)


def test_a_held_out_picture_out_of_range_costs_itself_alone(
    tiny: Checkpoint, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = torch.eye(32)
    one = Dictionary(torch.cat([eye, -eye])[:40], torch.zeros(40), torch.cat([eye, -eye])[:40], torch.zeros(32), "relu")
    examples = [Example(str(i), partial(shown, pictures, i), "a red dog") for i in range(4)]
    source = ModelSource(tiny.model, tiny.processor, ["model.layers.0"], examples, "both", 0)
    (wanted,) = held_out(source, [one], examples[1:])
    whole = source.states

    def broken(prompts: Sequence[Prompt]) -> Tensor:
        states = whole(prompts)
        if len(prompts) == 4:
            states[0, 3] = float("inf")
        return states

    monkeypatch.setattr(source, "states", broken)
    (found,) = held_out(source, [one], examples)
    assert found == pytest.approx(wanted, rel=1e-4)
    assert source.causes == {"The model's hidden states hold numbers out of range.": 1}


@pytest.mark.parametrize("wrong", [{"k": 0}, {"kind": "relu"}, {"tokens": "all"}, {"lr": -1.0}, {"buffer": 10}, {"prefixes": (0.5,)}])
def test_refuses_settings_that_do_not_fit(wrong: dict[str, object]) -> None:
    with pytest.raises(FacetError, match="do not fit"):
        TrainSettings(**wrong)  # type: ignore[arg-type]
