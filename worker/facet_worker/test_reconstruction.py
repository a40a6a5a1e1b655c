"""The check at load lets right dictionaries through and refuses wrong ones, with numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary, save_dictionary
from facet_worker.errors import FacetError
from facet_worker.reconstruction import FLAG, measure, probe_picture, unexplained
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
HOOK = "model.layers.1"
DEMO = ROOT / "demo/dictionaries" / HOOK


def load(folder: Path, **more: Any) -> TorchEngine:
    torch.set_num_threads(1)
    return TorchEngine.load(ROOT / "demo/model", {HOOK: folder}, model_id="facet-emoji", **more)


def found(engine: TorchEngine) -> dict[str, Any]:
    numbers: dict[str, Any] = engine.info()["dictionary"]["reconstruction"]
    return numbers


def test_tells_how_well_a_right_dictionary_reconstructs() -> None:
    numbers = found(load(DEMO))
    assert numbers["imagePositions"] == 144
    assert numbers["textPositions"] > 40
    # Measured .26 and .20 here; the states of scenes that the dictionary was trained on are easier.
    assert 0.05 < numbers["fvuImage"] < 0.4
    assert 0.05 < numbers["fvuText"] < 0.4


def turned(sae: Dictionary) -> dict[str, Any]:
    return {"w_dec": sae.w_dec.T.reshape(sae.w_dec.shape).contiguous()}


WRONG: dict[str, Any] = {
    "decoder turned": turned,
    "encoder turned": lambda sae: {"w_enc": sae.w_enc.T.reshape(sae.w_enc.shape).contiguous()},
    "decoder scaled": lambda sae: {"w_dec": sae.w_dec * 3},
    "encoder scaled": lambda sae: {"w_enc": sae.w_enc * 10},
    "inputs scaled down": lambda sae: {"w_enc": sae.w_enc / 10, "b_enc": sae.b_enc / 10},
    "another hook's decoder": lambda sae: {"w_dec": load_dictionary(DEMO.with_name("model.layers.0")).w_dec},
}


@pytest.mark.parametrize("how", list(WRONG))
def test_refuses_to_serve_a_wrong_one_unless_told_to(how: str, tmp_path: Path) -> None:
    right = load_dictionary(DEMO)
    save_dictionary(replace(right, **WRONG[how](right)), tmp_path)
    with pytest.raises(FacetError, match="does not give back the model's states") as caught:
        load(tmp_path)
    assert caught.value.code == "engine_unavailable"
    assert FLAG in caught.value.fix
    numbers = found(load(tmp_path, unchecked_dictionary=True))
    assert min(numbers["fvuImage"], numbers["fvuText"]) > 1
    assert f"{numbers['fvuImage']:.3g} of the variance" in str(caught.value)


def test_sees_a_dropped_bias(tmp_path: Path) -> None:
    right = load_dictionary(DEMO)
    save_dictionary(replace(right, b_dec=right.b_dec * 0), tmp_path)
    # The embedded dictionary's bias is short, so that its reconstruction is only half again as bad ...
    assert found(load(tmp_path))["fvuImage"] > 1.3 * found(load(DEMO))["fvuImage"]
    # ... and where states have a mean of any length, as large models' have, nothing is left.
    g = torch.Generator().manual_seed(0)
    mean, rows = 3 * torch.randn(16, generator=g), torch.eye(16)
    sae = Dictionary(rows, torch.zeros(16), rows, mean, "relu")
    hidden = mean + torch.randn(200, 16, generator=g).abs()
    on_image = np.arange(200) % 2 == 0
    assert not measure(sae, hidden, on_image).fails
    assert measure(replace(sae, b_dec=mean * 0), hidden, on_image).fails
    assert measure(replace(sae, w_dec=rows * float("nan")), hidden, on_image).fails


def test_counts_a_mean_as_one_and_leaves_out_what_would_decide_alone() -> None:
    g = torch.Generator().manual_seed(0)
    hidden = torch.randn(100, 8, generator=g)
    nothing = Dictionary(torch.zeros(4, 8), torch.zeros(4), torch.zeros(4, 8), hidden[1:].mean(0), "relu")
    assert unexplained(nothing, hidden[1:]) == pytest.approx(1, abs=1e-6)
    hidden[[0, 50]] *= 1e4
    numbers = measure(nothing, hidden, np.arange(100) >= 40)
    assert (numbers.positions, numbers.left_out) == ((59, 39), 2)
    assert numbers.image == pytest.approx(1, abs=0.05)
    # A prompt without an image has only text to go by.
    assert measure(nothing, hidden, np.zeros(100, bool)).to_json()["fvuImage"] is None


def test_the_picture_has_edges_and_grain_and_never_changes() -> None:
    picture = probe_picture(64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, probe_picture(64))
    assert picture.std(axis=(0, 1)).min() > 30
