"""The written-out backward pass equals PyTorch's autograd, and the exported graph equals both."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint, load_checkpoint
from facet_worker.errors import FacetError
from facet_worker.export_onnx import export_gradient
from facet_worker.split import SplitModel, UpperPart
from facet_worker.upper_gradient import UpperGradient

DEMO = Path(__file__).parents[2] / "demo/model"

Results = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    torch.set_num_threads(1)
    return load_checkpoint(DEMO)


def states_of(checkpoint: Checkpoint, layer: int, images: npt.NDArray[np.uint8], question: str) -> Tensor:
    """[B, T, D] at the hook, the question asked of each picture."""
    ids = torch.tensor([checkpoint.ids_of(checkpoint.prompt([("user", question)]))] * len(images))
    split = SplitModel(checkpoint.model, layer)
    with torch.inference_mode():
        hidden, _ = split.lower(split.embed(ids, split.vision(checkpoint.pixels(images))), *split.lower.empty(len(images)))
    return hidden.clone()


def reading(checkpoint: Checkpoint, positions: list[int], normalizer: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Some logits' weights, some of them 0, at several positions."""
    vocabulary = checkpoint.model.lm_head.weight.shape[0]
    generator = torch.Generator().manual_seed(7)
    selector = torch.zeros(len(positions), vocabulary)
    for m in range(len(positions)):
        selector[m, torch.randperm(vocabulary, generator=generator)[:2]] = torch.tensor([1.0, -1.0 if normalizer[m] == 0 else 0.0])
    return torch.tensor(positions), selector, torch.tensor(normalizer)


def by_autograd(checkpoint: Checkpoint, layer: int, hidden: Tensor, positions: Tensor, selector: Tensor, normalizer: Tensor) -> Results:
    upper = UpperPart(checkpoint.model, layer)
    x = hidden.clone().requires_grad_()
    logits, _ = upper(x, *upper.empty(len(hidden)))
    logits = logits[:, positions]
    metric = (selector * logits).sum((1, 2)) - (normalizer * torch.logsumexp(logits, -1)).sum(1)
    (gradient,) = torch.autograd.grad(metric.sum(), x)
    return metric.detach(), gradient, logits.detach()


def by_onnx(path: Path, hidden: Tensor, positions: Tensor, selector: Tensor, normalizer: Tensor) -> Results:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {"hidden": hidden, "positions": positions, "selector": selector, "normalizer": normalizer}
    metric, gradient, logits = session.run(["metric", "gradient", "logits"], {name: t.numpy() for name, t in feeds.items()})
    return torch.from_numpy(metric), torch.from_numpy(gradient), torch.from_numpy(logits)


def assert_same(found: Results, wanted: Results) -> None:
    for ours, autograd in zip(found, wanted, strict=True):
        assert ours.shape == autograd.shape
        assert float((ours - autograd).norm() / autograd.norm()) <= 1e-4
    # Each position by itself too, against the largest: a wrong small one would not be seen in the norm of all.
    off = (found[1] - wanted[1]).norm(dim=-1)
    assert bool((off <= 1e-4 * wanted[1].norm(dim=-1).clamp(min=1e-3 * float(wanted[1].norm(dim=-1).max()))).all())


READINGS = [([-1], [0.0]), ([-1], [1.0]), ([3, -2, -1], [0.0, 1.0, 0.5]), ([-1, -1], [1.0, 0.0])]


@pytest.mark.parametrize("layer", [0, 1])
def test_the_demo_models_gradient_is_autograds_and_the_graphs(demo: Checkpoint, layer: int) -> None:
    size = demo.image_size
    images = np.random.default_rng(3).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    hidden = states_of(demo, layer, images, "where is it ?")
    part = UpperGradient(demo.model, layer)
    for positions, normalizer in READINGS:
        read = reading(demo, [p % hidden.shape[1] for p in positions], normalizer)
        wanted = by_autograd(demo, layer, hidden, *read)
        with torch.inference_mode():
            assert_same(part(hidden, *read), wanted)
        assert_same(by_onnx(DEMO / f"gradient.model.layers.{layer}.onnx", hidden, *read), wanted)


def test_grouped_heads_of_another_model(tiny: Checkpoint, tiny_folder: Path, tmp_path: Path, pictures: npt.NDArray[np.uint8]) -> None:
    assert tiny.model.config.text_config.num_key_value_heads < tiny.model.config.text_config.num_attention_heads
    hidden = states_of(tiny, 0, pictures[:3], "is there a dog ?")
    shutil.copy(tiny_folder / "model.safetensors", tmp_path)
    path = export_gradient(tiny, 0, tmp_path)
    for positions, normalizer in READINGS:
        read = reading(tiny, [p % hidden.shape[1] for p in positions], normalizer)
        wanted = by_autograd(tiny, 0, hidden, *read)
        with torch.inference_mode():
            assert_same(UpperGradient(tiny.model, 0)(hidden, *read), wanted)
        assert_same(by_onnx(path, hidden, *read), wanted)
        # What stands in one row of the batch has no say in another's.
        assert_same(by_onnx(path, hidden[1:2], *read), tuple(t[1:2] for t in wanted))  # type: ignore[arg-type]
    later = by_autograd(tiny, 0, hidden, *reading(tiny, [2], [1.0]))[1]
    assert not later[:, 3:].any()


def test_blocks_of_another_activation_are_refused(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.model.config.text_config, "hidden_act", "gelu")
    with pytest.raises(FacetError, match="SiLU") as refused:
        UpperGradient(tiny.model, 0)
    assert refused.value.code == "engine_unavailable"
