"""The dictionary against a reference written in NumPy, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from facet_worker.errors import FacetError
from facet_worker.sae import TopKSae


def test_matches_numpy(tiny_sae: TopKSae) -> None:
    x = torch.randn(40, 32, generator=torch.Generator().manual_seed(2))
    w_enc, b_enc, w_dec, b_dec = (t.numpy().astype(np.float64) for t in (tiny_sae.w_enc, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec))
    pre = np.maximum((x.numpy() - b_dec) @ w_enc.T + b_enc, 0)
    order = np.argsort(-pre, axis=1, kind="stable")[:, : tiny_sae.k]
    kept = np.zeros_like(pre)
    np.put_along_axis(kept, order, np.take_along_axis(pre, order, 1), 1)
    indices, values = tiny_sae.encode(x)
    assert (indices.numpy() == order).all()
    assert np.allclose(values.numpy(), np.take_along_axis(pre, order, 1), atol=1e-5)
    assert np.allclose(tiny_sae.reconstruct(x).numpy(), kept @ w_dec + b_dec, atol=1e-5)
    assert np.allclose(tiny_sae.activation_of(x, torch.tensor([3, 5])).numpy(), kept[:, [3, 5]], atol=1e-5)


def test_keeps_shape_of_leading_axes(tiny_sae: TopKSae) -> None:
    assert tiny_sae.reconstruct(torch.zeros(2, 3, 32)).shape == (2, 3, 32)


def test_round_trip_and_layout(tiny_sae: TopKSae, tmp_path: Path) -> None:
    folder = tmp_path / "model.layers.1"
    first = tiny_sae.save(folder)
    again = TopKSae.load(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["cfg.json", "sae.safetensors"]
    assert all(torch.equal(getattr(again, n), getattr(tiny_sae, n)) for n in ("w_enc", "b_enc", "w_dec", "b_dec"))
    assert again.k == tiny_sae.k
    assert again.save(tmp_path / "b") == first


def test_refuses_what_does_not_fit(tiny_sae: TopKSae, tmp_path: Path) -> None:
    with pytest.raises(FacetError, match="k = 0"):
        TopKSae(tiny_sae.w_enc, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec, 0)
    with pytest.raises(FacetError, match="do not fit"):
        TopKSae(tiny_sae.w_enc.T, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec, 4)
    with pytest.raises(FacetError, match="no dictionary"):
        TopKSae.load(tmp_path)
    tiny_sae.save(tmp_path)
    config = json.loads((tmp_path / "cfg.json").read_text())
    (tmp_path / "cfg.json").write_text(json.dumps({**config, "num_latents": 63}))
    with pytest.raises(FacetError, match="63"):
        TopKSae.load(tmp_path)
