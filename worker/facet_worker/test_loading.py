"""Models from folders and from a hub: pinned, safetensors alone, and no code that comes with them."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import filter_repo_objects

from facet_worker.errors import FacetError
from facet_worker.loading import load_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Evil:
    """Unpickled, it makes the file."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> Any:
        return (open, (str(self.sign), "w"))


@pytest.fixture
def bait(tiny_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A model that would run code of its own if it were let, by Python and by pickle, and the file that is there once it did."""
    folder, sign = tmp_path / "bait", tmp_path / "ran"
    shutil.copytree(tiny_folder, folder)
    for name in ("config.json", "processor_config.json"):
        config = json.loads((folder / name).read_text())
        own = {"AutoConfig": "evil.Own", "AutoModelForImageTextToText": "evil.Own", "AutoProcessor": "evil.Own"}
        (folder / name).write_text(json.dumps({**config, "auto_map": own}))
    (folder / "evil.py").write_text(f"open({str(sign)!r}, 'w')\nclass Own: pass\n")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Evil(sign)))
    return folder, sign


def refusal(*given: Any) -> FacetError:
    with pytest.raises(FacetError) as caught:
        load_model(*given)
    assert caught.value.fix
    return caught.value


def test_runs_no_code_that_comes_with_a_model(bait: tuple[Path, Path]) -> None:
    folder, sign = bait
    loaded = load_model(folder)
    assert type(loaded.model).__module__.startswith("transformers.models.llava.")
    assert type(loaded.processor).__module__.startswith("transformers.models.llava.")
    # A model that only its own code could load is refused in a sentence.
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil"}))
    said = refusal(folder)
    assert (said.code, "is not run" in said.fix) == ("file_invalid", True)
    assert not sign.exists()


def test_reads_safetensors_alone(bait: tuple[Path, Path]) -> None:
    folder, sign = bait
    (folder / "model.safetensors").write_bytes(b"cut")
    assert refusal(folder).code == "file_invalid"
    (folder / "model.safetensors").unlink()
    assert "no other weights are loaded" in str(refusal(folder))
    assert not sign.exists()


def test_takes_a_hubs_model_by_a_commit_and_no_more_of_it_than_it_reads(
    bait: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sign = bait
    asked: list[Any] = []

    def snapshot(model: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((model, revision))
        there = [path.name for path in folder.iterdir()]
        for name in filter_repo_objects(there, allow_patterns=allow_patterns):
            (tmp_path / "snapshot").mkdir(exist_ok=True)
            shutil.copy(folder / name, tmp_path / "snapshot" / name)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert refusal("somebody/model").code == "invalid_request"
    assert asked == []
    fetched, own = load_model("somebody/model", COMMIT), load_model(folder)
    assert asked == [("somebody/model", COMMIT)]
    assert {path.suffix for path in (tmp_path / "snapshot").iterdir()} == {".json", ".safetensors", ".jinja"}
    assert fetched.sha256 == own.sha256
    for mine, theirs in zip(fetched.model.parameters(), own.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert not sign.exists()

    def gone(*_: Any, **__: Any) -> str:
        raise OSError("There is no way there.\nA second line.")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gone)
    said = refusal("somebody/model", COMMIT)
    assert (said.code, str(said)) == ("not_found", f"The hub did not give somebody/model at {COMMIT}: There is no way there.")
