"""What a clamp promises: no-op at the present value, exactly the request elsewhere, an error where it acts nowhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.errors import FacetError
from facet_worker.hooks import replace
from facet_worker.sae import TopKSae
from facet_worker.steer import Asker, Clamp, Receipt, Scope, Steerer, clamp_delta

EVERYWHERE = torch.ones(20, dtype=torch.bool)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(2, 20, 32, generator=torch.Generator().manual_seed(5))


def test_present_value_is_an_exact_no_op(tiny_sae: TopKSae, hidden: Tensor) -> None:
    for feature in range(64):
        assert not clamp_delta(hidden, tiny_sae, Clamp(feature, "scale", 1.0), EVERYWHERE).any()
        assert not clamp_delta(hidden, tiny_sae, Clamp(feature, "add", 0.0), EVERYWHERE).any()


def test_the_difference_is_the_request(tiny_sae: TopKSae, hidden: Tensor) -> None:
    now = tiny_sae.activation_of(hidden, torch.tensor([7]))
    row = tiny_sae.w_dec[7]
    mask = torch.arange(20) % 3 == 0
    for clamp, then in (
        (Clamp(7, "set", 2.0, unit=1.5), torch.full_like(now, 3.0)),
        (Clamp(7, "scale", -2.0), -2 * now),
        (Clamp(7, "add", 2.0, unit=1.5), now + 3.0),
        (Clamp(7, "ablate"), torch.zeros_like(now)),
    ):
        delta = clamp_delta(hidden, tiny_sae, clamp, mask)
        assert torch.allclose(delta[:, mask], ((then - now) * row)[:, mask], atol=1e-6)
        assert not delta[:, ~mask].any()


def _generate(tiny: Checkpoint, sae: TopKSae, picture: npt.NDArray[np.uint8], clamps: list[Clamp]) -> tuple[list[int], Receipt]:
    ids = tiny.ids_of(tiny.prompt([("user", "what is it ?")]))
    return Steerer(tiny, 1, sae).generate(tiny.pixels(picture[None]), ids, clamps, 6)


def test_no_clamp_equals_stock_generation(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    ids = tiny.ids_of(tiny.prompt([("user", "what is it ?")]))
    out, receipt = Steerer(tiny, 1, tiny_sae).generate(tiny.pixels(pictures[:1]), ids, [], 6)
    stock = tiny.model.generate(
        input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), pixel_values=tiny.pixels(pictures[:1]), max_new_tokens=6,
        do_sample=False,
    )[0, len(ids) :].tolist()  # fmt: skip
    assert out == stock[: len(out)]
    assert receipt.changed == 0


def test_equals_a_hook_on_the_stock_model(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    clamp = Clamp(9, "add", 6.0, scope=Scope("all"))
    ids = tiny.ids_of(tiny.prompt([("user", "what is it ?")]))
    out, receipt = _generate(tiny, tiny_sae, pictures[0], [clamp])

    def change(h: Tensor) -> Tensor:
        return h + clamp_delta(h, tiny_sae, clamp, torch.ones(h.shape[1], dtype=torch.bool))

    with replace(tiny.model, 1, change):
        stock = tiny.model.generate(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), pixel_values=tiny.pixels(pictures[:1]),
            max_new_tokens=6, do_sample=False,
        )[0, len(ids) :].tolist()  # fmt: skip
    assert out == stock[: len(out)]
    assert receipt.image.changed == receipt.image.planned == 16


def test_counts_by_kind(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    _, receipt = _generate(tiny, tiny_sae, pictures[0], [Clamp(9, "add", 6.0, scope=Scope("region", (0, 5)))])
    assert (receipt.image.planned, receipt.image.changed, receipt.prompt.planned, receipt.generated.planned) == (2, 2, 0, 0)
    out, receipt = _generate(tiny, tiny_sae, pictures[0], [Clamp(9, "add", 6.0, scope=Scope("generated"))])
    assert receipt.generated.planned == len(out) - 1
    assert receipt.image.planned == 0
    _, receipt = _generate(tiny, tiny_sae, pictures[0], [Clamp(9, "scale", 1.0, scope=Scope("all"))])
    assert receipt.changed == 0
    assert receipt.image.planned == 16


def test_refuses_clamps_that_act_nowhere_or_twice(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    for clamps in (
        [Clamp(64)],
        [Clamp(1, scope=Scope("region"))],
        [Clamp(1, scope=Scope("region", (16,)))],
        [Clamp(1), Clamp(1, scope=Scope("all"))],
    ):
        with pytest.raises(FacetError):
            _generate(tiny, tiny_sae, pictures[0], clamps)
    ids = tiny.ids_of(tiny.prompt([("user", "what ?")], image=False))
    with pytest.raises(FacetError, match="covers no position"):
        Steerer(tiny, 1, tiny_sae).generate(None, ids, [Clamp(1)], 2)


def test_asking_in_bulk_equals_one_by_one(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    asker = Asker(tiny, 1, tiny_sae)
    prefix = asker.read(pictures[:4])
    features, values = torch.tensor([1, 9, 30, 9]), torch.tensor([5.0, 6.0, 7.0, 0.0])
    cells = torch.zeros(4, 16, dtype=torch.bool)
    cells[:, [2, 3]] = True
    with torch.inference_mode():
        hidden = asker.set_on_cells(prefix.hidden, features, values, cells)
    said = asker.ask(prefix.low, asker.open(hidden), "what is it ?", limit=6)
    for i in range(4):
        ids = tiny.ids_of(tiny.prompt([("user", "what is it ?")]))
        clamp = Clamp(int(features[i]), "set", float(values[i]), scope=Scope("region", (2, 3)))
        out, _ = asker.generate(tiny.pixels(pictures[i][None]), ids, [clamp], 6)
        words = " ".join(tiny.tokenizer.convert_ids_to_tokens([t for t in out if t != asker.eos]))
        assert said[i].removesuffix(" …") == words


def test_reconstruct_sets_what_is_asked_and_keeps_the_rest(tiny_sae: TopKSae, hidden: Tensor, tiny: Checkpoint) -> None:
    asker = Asker(tiny, 1, tiny_sae)
    features, values = torch.tensor([7, 9]), torch.tensor([3.0, 2.0])
    mask = (torch.arange(20) % 4 == 0).expand(2, -1)
    plain = tiny_sae.reconstruct(hidden)
    assert torch.equal(asker.reconstruct_where(hidden, features, values, torch.zeros_like(mask)), plain)
    out = asker.reconstruct_where(hidden, features, values, mask)
    assert torch.equal(out[~mask], plain[~mask])
    dense = tiny_sae.activations(hidden)
    for row, feature in enumerate((7, 9)):
        before = dense[row, mask[row]]
        fired = before[:, feature] > 0
        after = before.clone()
        weakest = tiny_sae.encode(hidden)[0][row, mask[row], -1]
        after[~fired, weakest[~fired]] = 0  # the set feature takes the place of the weakest of the k
        after[:, feature] = values[row]
        assert torch.allclose(out[row, mask[row]], after @ tiny_sae.w_dec + tiny_sae.b_dec, atol=1e-5)


def test_rows_may_be_asked_different_questions(tiny: Checkpoint, tiny_sae: TopKSae, pictures: npt.NDArray[np.uint8]) -> None:
    asker = Asker(tiny, 1, tiny_sae)
    prefix = asker.read(pictures[:2])
    up = asker.open(prefix.hidden)
    first, second = ([("user", "what is it ?")], [("user", "it is what ?")])
    both = asker.ask_rows(prefix.low, up, torch.tensor([asker.words_of(first), asker.words_of(second)]), 6)
    assert both[0] == asker.ask(prefix.low, up, "what is it ?", 6)[0]
    assert both[1] == asker.ask(prefix.low, up, "it is what ?", 6)[1]
