"""Every activation function against NumPy in double precision, every format against what its own tool computed, and refusals."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from facet_worker import dictionaries
from facet_worker.convert_dictionary import main as convert
from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary, save_dictionary
from facet_worker.errors import FacetError

FIXTURES = Path(__file__).parents[2] / "lib/formats/dictionaries/fixtures"
READ = [
    "sparsify/model.layers.1",
    "sparsify-sharded/model.layers.1",
    "sparsify-square/layers.5",
    "gemma-scope/layer_12/width_16k/average_l0_82",
    "gemma-scope-2/resid_post/layer_17_width_16k_l0_medium",
    *(f"dictionary-learning-{kind}" for kind in ("topk", "batchtopk", "standard", "april", "gated", "jumprelu", "matryoshka")),
]
SAE_LENS = [f"sae-lens-{kind}" for kind in ("standard", "topk", "jumprelu", "gated", "batchtopk", "old")]
KINDS = ("topk", "relu", "jumprelu", "batchtopk", "gated")
D, L, K = 24, 100, 7


def made(kind: str, subtract: bool = True, dtype: torch.dtype = torch.float32) -> Dictionary:
    g = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Any:
        return torch.randn(*shape, generator=g)

    extra: dict[str, Any] = {}
    if kind == "jumprelu":
        extra = {"threshold": draw(L).abs()}
    elif kind == "batchtopk":
        extra = {"threshold": torch.tensor([1.5])}
    elif kind == "gated":
        extra = {"r_mag": 0.3 * draw(L), "b_mag": draw(L)}
    sae = Dictionary(draw(L, D), draw(L), draw(L, D), draw(D), kind, K if kind == "topk" else None, **extra, subtract_b_dec=subtract)
    return sae.to("cpu", dtype)


def reference(sae: Dictionary, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Dense activations [R, L], written from the definitions."""
    parts: dict[str, Any] = {name: part.double().numpy() for name, part in vars(sae).items() if isinstance(part, torch.Tensor)}
    inside = x.astype(np.float64) - (parts["b_dec"] if sae.subtract_b_dec else 0)
    product = inside @ parts["w_enc"].T
    pre = product + parts["b_enc"]
    if sae.activation == "gated":
        return np.where(pre > 0, np.maximum(np.exp(parts["r_mag"]) * product + parts["b_mag"], 0), 0)
    if sae.activation in ("jumprelu", "batchtopk"):
        return np.where(pre > parts["threshold"], np.maximum(pre, 0), 0)
    active = np.maximum(pre, 0)
    if sae.activation == "topk":
        floor = np.sort(active, axis=1)[:, -K, None]
        active[active < floor] = 0
    return active


def dense(sae: Dictionary, codes: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return torch.zeros(len(codes[0]), sae.num_latents).scatter_add_(1, codes[0], codes[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_encodes_and_decodes_as_defined(kind: str, subtract: bool, dtype: torch.dtype) -> None:
    sae = made(kind, subtract, dtype)
    x = torch.randn(9, D, generator=torch.Generator().manual_seed(1)) * 2
    codes = sae.encode(x)
    wanted = reference(sae, x.numpy())
    assert codes[1].dtype == torch.float32
    assert 0 < (wanted > 0).mean() < 0.7
    np.testing.assert_allclose(dense(sae, codes), wanted, atol=2e-5)
    assert bool((codes[1].diff(dim=1) <= 0).all())
    out = wanted @ sae.w_dec.double().numpy() + sae.b_dec.double().numpy()
    np.testing.assert_allclose(sae.decode(*codes), out, atol=1e-4)


def test_thresholds_are_strict_and_nothing_active_is_nothing() -> None:
    sae = Dictionary(torch.eye(2), torch.zeros(2), torch.eye(2), torch.zeros(2), "jumprelu", None, torch.ones(2))
    np.testing.assert_array_equal(dense(sae, sae.encode(torch.tensor([[1.0, 1.5], [-3.0, 0.5]]))), [[0, 1.5], [0, 0]])
    assert sae.encode(torch.zeros(0, 2))[0].shape == (0, 1)
    np.testing.assert_array_equal(sae.decode(*sae.encode(torch.zeros(1, 2))), [[0, 0]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_encodes_in_blocks_as_whole(kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    sae = made(kind, dtype=dtype)
    x = torch.randn(23, D, generator=torch.Generator().manual_seed(2))
    whole = sae.encode(x)
    sizes: list[int] = []
    usual = Dictionary._encode

    def counted(self: Dictionary, rows: torch.Tensor) -> Any:
        sizes.append(len(rows))
        return usual(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(dictionaries, "_CHUNK_BYTES", 4 * L * 5)
        patch.setattr(Dictionary, "_encode", counted)
        parts = sae.encode(x)
        back = sae.decode(*parts)
    assert sizes == [5, 5, 5, 5, 3]
    np.testing.assert_allclose(dense(sae, parts), dense(sae, whole), atol=1e-5)
    np.testing.assert_allclose(back, sae.decode(*whole), atol=1e-4)


def check_fixture(name: str) -> Dictionary:
    sae = load_dictionary(FIXTURES / name)
    sample = load_file(FIXTURES / name / "sample.safetensors")
    codes = sae.encode(sample["hidden"])
    np.testing.assert_allclose(dense(sae, codes), sample["activations"], atol=2e-3)
    np.testing.assert_allclose(sae.decode(*codes), sample["reconstruction"], atol=2e-3)
    return sae


@pytest.mark.parametrize("name", READ)
def test_computes_what_its_own_tool_computes(name: str, tmp_path: Path) -> None:
    sae = check_fixture(name)
    assert sae.sha256 != "0" * 64
    expected = {"sparsify/model.layers.1": "model.layers.1", READ[3]: "model.layers.12", READ[4]: "model.layers.17.output"}
    assert sae.hook == expected.get(name, sae.hook)
    # And again from this package's own layout.
    assert convert([str(FIXTURES / name), str(tmp_path / "own")]) == 0
    again = load_dictionary(tmp_path / "own")
    assert (again.activation, again.k, again.hook, again.subtract_b_dec) == (sae.activation, sae.k, sae.hook, sae.subtract_b_dec)
    hidden = load_file(FIXTURES / name / "sample.safetensors")["hidden"]
    for one, other in zip(again.encode(hidden), sae.encode(hidden), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", SAE_LENS)
def test_computes_what_sae_lens_computes(name: str) -> None:
    pytest.importorskip("sae_lens", reason="SAELens is an extra: pip install 'facet-worker[sae-lens]'")
    sae = check_fixture(name)
    # Its own encode on the same weights, on states that the fixture does not hold.
    from sae_lens import SAE

    theirs = SAE.load_from_disk(FIXTURES / name, dtype="float32")
    x = load_file(FIXTURES / name / "sample.safetensors")["hidden"] * 1.3 + 0.1
    np.testing.assert_allclose(dense(sae, sae.encode(x)), theirs.encode(x).detach(), atol=1e-4)


def test_loads_what_sae_lens_publishes_as_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    sae_lens = pytest.importorskip("sae_lens", reason="SAELens is an extra: pip install 'facet-worker[sae-lens]'")
    asked: list[tuple[str, str]] = []

    def published(release: str, sae_id: str, device: str) -> Any:
        asked.append((release, sae_id))
        if sae_id == "gone":
            raise ValueError("no such id")
        return sae_lens.SAE.load_from_disk(FIXTURES / "sae-lens-jumprelu", dtype="float32")

    monkeypatch.setattr(sae_lens.SAE, "from_pretrained", published)
    found, again = (load_dictionary("sae-lens:some-release/layer_12/width_16k") for _ in range(2))
    assert asked == [("some-release", "layer_12/width_16k")] * 2
    folder = load_dictionary(FIXTURES / "sae-lens-jumprelu")
    x = load_file(FIXTURES / "sae-lens-jumprelu" / "sample.safetensors")["hidden"]
    for one, other in zip(found.encode(x), folder.encode(x), strict=True):
        assert torch.equal(one, other)
    assert found.sha256 == again.sha256 not in (folder.sha256, "0" * 64)
    with pytest.raises(FacetError, match="SAELens cannot load some-release/gone: no such id"):
        load_dictionary("sae-lens:some-release/gone")
    # What is made of it is held against SAELens' own arithmetic: a loader that turned a tensor is caught.
    usual = sae_lens.SAE.load_from_disk

    def turned(*given: Any, **more: Any) -> Any:
        sae = usual(*given, **more)
        sae.state_dict = lambda: {**type(sae).state_dict(sae), "threshold": sae.threshold.detach() + 5}
        return sae

    monkeypatch.setattr(sae_lens.SAE, "load_from_disk", turned)
    with pytest.raises(FacetError, match="differs from SAELens' own"):
        load_dictionary(FIXTURES / "sae-lens-jumprelu")


@pytest.mark.parametrize(
    ("name", "says"), [("sae-lens-layer-norm", "normalises its inputs"), ("sparsify-transcoder/layers.2.mlp", "transcoder")]
)
def test_refuses_what_clamps_would_be_wrong_in(name: str, says: str) -> None:
    if name.startswith("sae-lens"):
        pytest.importorskip("sae_lens", reason="SAELens is an extra: pip install 'facet-worker[sae-lens]'")
    with pytest.raises(FacetError, match=says):
        load_dictionary(FIXTURES / name)


def test_names_the_install_command_where_sae_lens_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sae_lens", None)
    for source in (FIXTURES / "sae-lens-topk", "sae-lens:gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82"):
        with pytest.raises(FacetError) as caught:
            load_dictionary(source)
        assert caught.value.code == "engine_unavailable"
        assert "pip install 'facet-worker[sae-lens]'" in caught.value.fix
    with pytest.raises(FacetError, match="is not of the form"):
        load_dictionary("sae-lens:release")


def test_refuses_files_that_hold_no_such_dictionary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases: list[tuple[Any, str]] = [
        (FIXTURES / "dictionary-learning-pickle", "unsafe_format"),
        (FIXTURES / "sparsify-groupmax/layers.3", "format_unknown"),
        (tmp_path / "absent", "file_invalid"),
        (tmp_path, "format_unknown"),
    ]
    own = tmp_path / "own"
    save_dictionary(made("jumprelu"), own)
    changes: dict[str, Any] = {
        "cut": lambda tensors: {**tensors, "W_enc": tensors["W_enc"][:-1]},
        "turned": lambda tensors: {**tensors, "W_dec": tensors["W_dec"].T.contiguous()},
        "bare": lambda tensors: {name: part for name, part in tensors.items() if name != "threshold"},
        "nan": lambda tensors: {**tensors, "b_enc": tensors["b_enc"] * float("nan")},
        "biased": lambda tensors: {**tensors, "b_dec": tensors["b_enc"].clone()},
        "none": lambda tensors: {"W_enc": tensors["W_enc"]},
    }
    for name, change in changes.items():
        shutil.copytree(own, tmp_path / name)
        save_file(change(load_file(own / "dictionary.safetensors")), tmp_path / name / "dictionary.safetensors")
        cases.append((tmp_path / name, "file_invalid"))
    shutil.copytree(own, tmp_path / "words")
    (tmp_path / "words/dictionary.json").write_text("no")
    sparse = tmp_path / "sparse"
    shutil.copytree(FIXTURES / "sparsify/model.layers.1", sparse)
    config = json.loads((sparse / "cfg.json").read_text())
    settings: dict[str, Any] = {"k": {"k": 0}, "d": {"d_in": 3}, "l": {"num_latents": 39}, "signed": {"signed": True}}
    for key, more in settings.items():
        shutil.copytree(sparse, tmp_path / f"sparse-{key}")
        (tmp_path / f"sparse-{key}/cfg.json").write_text(json.dumps({**config, **more}))
        cases.append((tmp_path / f"sparse-{key}", "format_unknown" if key == "signed" else "file_invalid"))
    for folder, code in [*cases, (tmp_path / "words", "file_invalid")]:
        with pytest.raises(FacetError) as caught:
            load_dictionary(folder)
        assert caught.value.code == code, folder
    assert convert([str(tmp_path / "cut"), str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    assert "do not fit each other" in capsys.readouterr().err
