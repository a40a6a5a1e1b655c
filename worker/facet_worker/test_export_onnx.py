"""The graphs equal PyTorch and hold no weights of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch

from facet_worker.checkpoint import Checkpoint, load_checkpoint
from facet_worker.engine_json import chat_parts, engine_description, join_chat
from facet_worker.errors import FacetError
from facet_worker.export_onnx import export_encoder, export_model, export_whole
from facet_worker.onnx_engine import check_parity
from facet_worker.sae import TopKSae
from facet_worker.shared_weights import share_weights


@pytest.fixture(scope="module")
def exported(tiny_folder: Path, tiny_sae: TopKSae, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    root = tmp_path_factory.mktemp("export")
    shutil.copytree(tiny_folder, root / "model")
    tiny_sae.save(root / "dictionaries/model.layers.1")
    export_model(load_checkpoint(root / "model"), [1])
    export_encoder(root / "dictionaries/model.layers.1")
    return load_checkpoint(root / "model")


def test_parity(exported: Checkpoint, pictures: npt.NDArray[np.uint8]) -> None:
    prompts = [exported.ids_of(exported.prompt([("user", q)])) for q in ("what ?", "where is it ?", "a b")]
    parity = check_parity(exported, 1, exported.folder.parent / "dictionaries/model.layers.1", pictures[:3], prompts, limit=5)
    assert parity.same_text == 3
    assert parity.hidden <= 1e-3
    assert parity.logits <= 1e-3
    assert parity.indices == 0


def test_the_uncut_graph_writes_what_the_checkpoint_writes(exported: Checkpoint, tmp_path: Path) -> None:
    path = export_whole(exported, tmp_path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    ids = torch.tensor([exported.ids_of(exported.prompt([("user", "what ?")], image=False))])
    past = {i.name: np.zeros((1, int(i.shape[1]), 0, int(i.shape[3])), np.float32) for i in session.get_inputs()[1:]}
    logits = session.run(["logits"], {"input_ids": ids.numpy(), **past})[0]
    with torch.inference_mode():
        stock = exported.model(input_ids=ids).logits.numpy()
    assert np.abs(logits - stock).max() <= 1e-3


def test_weights_lie_in_the_checkpoint(exported: Checkpoint) -> None:
    for path in exported.folder.glob("*.onnx"):
        assert path.stat().st_size < 120_000
        proto = onnx.load(path, load_external_data=False)
        outside = [t for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
        assert outside
        assert all({e.key: e.value for e in t.external_data}["location"] == "model.safetensors" for t in outside)
        assert str(Path.cwd()) not in path.read_bytes().decode("latin-1")


def test_a_weight_that_is_nowhere_is_refused(exported: Checkpoint) -> None:
    proto = onnx.load(exported.folder / "embed.onnx")
    del proto.graph.initializer[:]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((8, 9), np.float32), "stranger"))
    with pytest.raises(FacetError, match="stranger"):
        share_weights(proto, exported.folder / "model.safetensors")


def test_engine_json(exported: Checkpoint) -> None:
    folder = exported.folder.parent / "dictionaries/model.layers.1"
    described = engine_description(exported, "tiny", "Tiny", {1: folder}, exported.folder)
    assert json.loads(json.dumps(described)) == described
    assert described["dictionaries"][0]["folder"] == "../dictionaries/model.layers.1"
    assert described["dictionaries"][0]["gradient"] == "gradient.model.layers.1.onnx"
    assert described["image"]["rows"] == 4
    assert described["tokens"]["image"] == 4
    turns = [("user", "a"), ("assistant", "b"), ("user", "where ?")]
    assert join_chat(chat_parts(exported), turns, True) == exported.prompt(turns)
