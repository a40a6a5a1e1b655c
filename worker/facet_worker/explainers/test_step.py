"""The command on a pipeline's file: resumed after kill -9, stopped at a cost limit, its key nowhere, and the embedded model explained and scored offline."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from facet_worker.__main__ import main
from facet_worker.bundle import SCHEMAS
from facet_worker.endpoint.false_endpoint import question, serving
from facet_worker.explain import Explanation
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.scorers.tiny_vision import write_clip, write_detector, write_segmenter
from facet_worker.small_bundle import HOOK, write_small_bundle

ROOT = Path(__file__).parents[3]
LABEL = "[LABEL]: red things\n[CONCEPT]: colour"


def answer(body: dict[str, Any], _: int) -> str:
    said = question(body)
    return "yes" if "yes or no" in said else LABEL if "[LABEL]" in said else "[EXPLANATION]: Red things."


def pipeline(folder: Path, url: str, more: str = "") -> Path:
    """A file that explains and scores the small bundle by an endpoint."""
    file = folder / "pipeline.toml"
    endpoint = f'url = "{url}"\nmodel = "explainer"\nkey_env = "SOME_KEY"\nattempts = 2\n'
    file.write_text(
        f'run = "run"\n[model]\npath = "nowhere"\n[explain]\nexplainers = ["top-images"]\nbundle = "bundle"\n[explain.endpoint]\n{endpoint}{more}\n'
        f'[score]\nmetrics = ["consistency", "detection"]\nbundle = "bundle"\n[score.endpoint]\n{endpoint}'
    )
    return file


def test_explains_and_scores_by_an_endpoint_and_stores_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret-3")
    write_small_bundle(tmp_path / "bundle")
    with serving(answer) as endpoint:
        file = str(pipeline(tmp_path, endpoint.url))
        assert main(["explain", file]) == 0
        assert main(["score", file]) == 0
        asked = len(endpoint.bodies)
        assert set(endpoint.keys) == {"Bearer sk-secret-3"}
        # A second time nothing is asked, and the manifests keep telling of the run that did the work.
        before = [(tmp_path / "run" / step / "manifest.json").read_bytes() for step in ("explain", "score")]
        assert main(["run", file]) == 0
        assert len(endpoint.bodies) == asked
        assert [(tmp_path / "run" / step / "manifest.json").read_bytes() for step in ("explain", "score")] == before
    table = pq.read_table(tmp_path / "run/explain" / HOOK / "explanations.parquet")
    assert table.schema.equals(SCHEMAS["explanations"])
    assert table.column("label").to_pylist() == ["red things"] * 3 + [None]
    scores = pq.read_table(tmp_path / "run/score" / HOOK / "scores.parquet")
    assert scores.schema.equals(SCHEMAS["scores"])
    assert {(row["metric"], row["value"]) for row in scores.to_pylist()} == {("consistency", 1), ("detection", 0.5)}
    manifest = json.loads((tmp_path / "run/explain/manifest.json").read_text())
    assert manifest["report"][HOOK]["methods"] == {"top-images": {"explained": 3, "failed": {"no_images": 1}, "left": 0}}
    assert manifest["troubles"] == [
        {"cause": f"{HOOK}: no explanation by top-images, no picture lights the feature up", "count": 1, "examples": []},
        {"cause": f"{HOOK}: no explanation, the feature never fires", "count": 1, "examples": []},
    ]
    assert set(manifest["files"]) == {f"{HOOK}/explanations.parquet"}
    said = capfd.readouterr()
    assert "explain: done" in said.err
    assert "1 × model.layers.1: no explanation, the feature never fires." in said.err
    assert "  model.layers.1: features 4, top-images explained 3, top-images failed no_images 1, " in said.err
    assert "sk-secret-3" not in said.err + said.out
    assert all(b"sk-secret-3" not in path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())


def test_reads_what_the_cache_of_the_same_run_found(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run") as folder:
        step = folder.step("cache", {}, {})
        write_small_bundle(step.folder / "bundle")
        step.finish({}, [])
    with serving(answer) as endpoint:
        file = pipeline(tmp_path, endpoint.url)
        file.write_text(file.read_text().replace('bundle = "bundle"\n', ""))
        assert main(["run", str(file)]) == 0
    assert pq.read_table(tmp_path / "run/explain" / HOOK / "explanations.parquet").num_rows == 4
    assert pq.read_table(tmp_path / "run/score" / HOOK / "scores.parquet").num_rows == 6


def test_goes_on_after_kill_9_and_asks_nothing_twice(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle", features=14, images=80)

    def slow(body: dict[str, Any], number: int) -> str:
        time.sleep(0.3)
        return answer(body, number)

    with serving(slow) as endpoint:
        file = pipeline(tmp_path, endpoint.url, "concurrency = 2")
        command = [sys.executable, "-m", "facet_worker", "explain", str(file)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "worker")}
        worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while len(endpoint.bodies) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        before = len(endpoint.bodies)
        assert 5 <= before < 12
        assert not (tmp_path / "run/explain" / HOOK / "explanations.parquet").exists()
        subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
        bodies = [json.dumps(body) for body in endpoint.bodies]
        # Twelve features' pictures and one refiner's question; those two under way when it was killed may have come twice.
        assert len(set(bodies)) == 13
        assert len(bodies) - len(set(bodies)) <= 2
        assert set(bodies[before:]).isdisjoint(bodies[: before - 2])
    table = pq.read_table(tmp_path / "run/explain" / HOOK / "explanations.parquet")
    assert table.column("label").to_pylist().count("red things") == 12
    # Thirteen answers of .3 s, two at a time, and the wall time of both processes.
    report = json.loads((tmp_path / "run/explain/manifest.json").read_text())["report"][HOOK]
    assert report["seconds"] > 1.8


def test_a_cost_limit_ends_the_command_and_says_what_is_left(tmp_path: Path, capfd: Any) -> None:
    write_small_bundle(tmp_path / "bundle")
    money = "concurrency = 1\nprice_read = 1000\nprice_written = 1000\nimage_tokens = 10\ncost_limit = "
    with serving(answer) as endpoint:
        assert main(["explain", str(pipeline(tmp_path, endpoint.url, f"{money}1.4"))]) == 2
        said = capfd.readouterr().err
        assert "The cost limit leaves" in said
        assert "Left to explain of model.layers.1:" in said
        assert "Raise cost_limit" in said
        assert main(["explain", str(pipeline(tmp_path, endpoint.url, f"{money}20"))]) == 0
        assert len(endpoint.bodies) == 4


def test_failures_are_asked_again_on_request(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda *_: "It is red.") as endpoint:
        file = str(pipeline(tmp_path, endpoint.url))
        assert main(["explain", file]) == 0
        endpoint.behaviour = answer
        assert main(["explain", file]) == 0
        assert len(endpoint.bodies) == 3
        assert main(["run", "--retry-failed", file]) == 0
    # What could be explained then is scored in the same command.
    assert pq.read_table(tmp_path / "run/score" / HOOK / "scores.parquet").num_rows == 6
    labels = pq.read_table(tmp_path / "run/explain" / HOOK / "explanations.parquet").column("label").to_pylist()
    assert labels == ["red things"] * 3 + [None]


def test_what_is_explained_anew_is_scored_anew_in_the_same_folder(tmp_path: Path, capfd: Any) -> None:
    write_small_bundle(tmp_path / "bundle")
    scores = tmp_path / "run/score" / HOOK / "scores.parquet"
    with serving(
        lambda body, number: answer(body, number) if "[LABEL]" in question(body) or "yes or no" in question(body) else "It is red."
    ) as endpoint:
        file = pipeline(tmp_path, endpoint.url)
        assert main(["run", str(file)]) == 0
        assert pq.read_table(scores).num_rows == 0
        endpoint.behaviour = answer
        assert main(["explain", "--retry-failed", str(file)]) == 0
        assert main(["score", str(file)]) == 0
        assert pq.read_table(scores).num_rows == 6
        # Another configuration is still refused: what was measured by it would stand beside the rest.
        file.write_text(file.read_text().replace("[score]", "[score]\non = 3"))
        capfd.readouterr()
        assert main(["score", str(file)]) == 2
    assert "configuration.on was 5 and is 3" in capfd.readouterr().err


def test_a_run_folder_of_another_configuration_or_catalogue_is_refused(tmp_path: Path, capfd: Any) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(answer) as endpoint:
        file = pipeline(tmp_path, endpoint.url)
        assert main(["explain", str(file)]) == 0
        assert main(["score", str(file)]) == 0
        usual, asked = file.read_text(), len(endpoint.bodies)
        for step, changed, said in (
            ("explain", usual.replace("[explain]", "[explain]\npictures = 3"), "configuration.pictures was 5 and is 3"),
            ("explain", usual.replace('"explainer"', '"another"', 1), "configuration.explainer was explainer and is another"),
            ("explain", f"seed = 1\n{usual}", "seed was 0 and is 1"),
            ("score", usual.replace("[score]", "[score]\noff = 4"), "configuration.off was 5 and is 4"),
        ):
            file.write_text(changed)
            assert main([step, str(file)]) == 2
            assert said in capfd.readouterr().err
        # A catalogue of other pictures: what is known of its features was not what was explained.
        file.write_text(usual)
        shutil.rmtree(tmp_path / "bundle")
        write_small_bundle(tmp_path / "bundle", broken=[7])
        for step in ("explain", "score"):
            assert main([step, str(file)]) == 2
            assert f"inputs.{HOOK}/catalogue was " in capfd.readouterr().err
        assert len(endpoint.bodies) == asked
    inputs = json.loads((tmp_path / "run/score/manifest.json").read_text())["inputs"]
    assert inputs.keys() == {"model", HOOK, f"{HOOK}/catalogue", f"{HOOK}/explanations"}


def test_scores_by_another_checkpoint_are_refused(tmp_path: Path, capfd: Any) -> None:
    torch.set_num_threads(1)
    explanation = Explanation(0, "causal", "m", "Red things.", "red", "colour", None, None, "2026-01-01T00:00:00+00:00", True)
    write_small_bundle(tmp_path / "bundle", [explanation])
    write_clip(tmp_path / "first" / "clip")
    file = tmp_path / "pipeline.toml"
    text = 'run = "run"\n[model]\npath = "nowhere"\n[score]\nmetrics = ["clip"]\nbundle = "bundle"\nclip = "first/clip"\n'
    file.write_text(text)
    assert main(["score", str(file)]) == 0
    weights = tmp_path / "first/clip/model.safetensors"
    manifest = json.loads((tmp_path / "run/score/manifest.json").read_text())
    assert manifest["inputs"]["clip"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    # Where it lies may change, what it is may not.
    (tmp_path / "first").rename(tmp_path / "second")
    file.write_text(text.replace("first", "second"))
    assert main(["score", str(file)]) == 0
    assert json.loads((tmp_path / "run/score/manifest.json").read_text()) == manifest
    tensors = {name: tensor + 1 for name, tensor in load_file(tmp_path / "second/clip/model.safetensors").items()}
    save_file(tensors, tmp_path / "second/clip/model.safetensors", {"format": "pt"})
    capfd.readouterr()
    assert main(["score", str(file)]) == 2
    assert "another configuration: weights differ" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('explainers = ["top-images"]\nbundel = "x"', "bundle is meant?"),
        ("explainers = []", "explain.explainers"),
        ('explainers = ["magic"]', "explain.explainers"),
        ('explainers = ["top-images"]', "has no cache yet"),
        ('explainers = ["top-images"]\nbundle = "bundle"', "lacks somebody to ask"),
        ('explainers = ["top-images"]\nbundle = "bundle"\nendpoint = {url = "http://u:p@a/v1", model = "m"}', "a password"),
        ('explainers = ["top-images"]\nbundle = "bundle"\nendpoint = {url = "http://a/v1", model = "m", price_read = 1.0}', "in part"),
    ],
)
def test_refuses_wrong_settings_before_any_work(tmp_path: Path, capfd: Any, text: str, said: str) -> None:
    write_small_bundle(tmp_path / "bundle")
    file = tmp_path / "pipeline.toml"
    file.write_text(f'run = "run"\n[model]\npath = "nowhere"\n[explain]\n{text}\n')
    assert main(["explain", str(file)]) == 2
    assert said in capfd.readouterr().err


def test_a_catalogue_of_other_weights_of_the_model_is_refused(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "bundle").mkdir()
    for path in (ROOT / "demo/bundle").iterdir():
        (tmp_path / "bundle" / path.name).symlink_to(path)
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text())
    (tmp_path / "bundle/manifest.json").unlink()
    (tmp_path / "bundle/manifest.json").write_text(json.dumps(manifest | {"model": manifest["model"] | {"sha256": "0" * 64}}))
    file = tmp_path / "pipeline.toml"
    file.write_text(
        f'run = "run"\n[model]\npath = "{ROOT}/demo/model"\nid = "facet-emoji"\n[[dictionaries]]\npath = "{ROOT}/demo/dictionaries/model.layers.0"\n'
        '[explain]\nexplainers = ["causal"]\nbundle = "bundle"\ndictionaries = ["model.layers.0"]\nfeatures = [4]\n'
    )
    assert main(["explain", str(file)]) == 2
    assert "of other weights of the model" in capfd.readouterr().err


def test_the_embedded_model_is_explained_and_scored_offline(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    write_clip(tmp_path / "clip")
    write_detector(tmp_path / "dino")
    write_segmenter(tmp_path / "sam")
    file = tmp_path / "pipeline.toml"
    common = f'bundle = "{ROOT}/demo/bundle"\ndictionaries = ["model.layers.0"]\nfeatures = [4, 17]\nquestion = "what is this ?"\nanswer_tokens = 6\n'
    file.write_text(
        f'run = "run"\n[model]\npath = "{ROOT}/demo/model"\nid = "facet-emoji"\n[[dictionaries]]\npath = "{ROOT}/demo/dictionaries/model.layers.0"\n'
        f'[explain]\nexplainers = ["causal"]\nstrengths = [2.0, 4.0, 8.0]\nrefine = false\n{common}'
        f'[score]\nmetrics = ["clip", "iou", "monosemanticity", "detection", "steer"]\njudge = "studied"\nclip = "clip"\ndetector = "dino"\n'
        f'segmenter = "sam"\ntrials = 3\npictures = 2\non = 2\noff = 2\nstrength = 8.0\nshows = "is there {{label}} ?"\n{common}'
    )
    assert main(["run", str(file)]) == 0
    rows = pq.read_table(tmp_path / "run/explain/model.layers.0/explanations.parquet").to_pylist()
    assert [(row["index"], row["text"], row["author"], row["preferred"]) for row in rows] == [
        (4, "a crown", "facet-emoji", True), (17, "a lion", "facet-emoji", True),
    ]  # fmt: skip
    assert rows[0]["prompt"] == "what is this ? (an empty picture; the feature set on all of it to 2, 4, 8 times its maximum)"
    scores = {(row["index"], row["metric"]): row for row in pq.read_table(tmp_path / "run/score/model.layers.0/scores.parquet").to_pylist()}
    assert len(scores) == 2 * 5
    # Nobody gave a label, and nothing was made up in its place.
    assert scores[4, "iou"]["failure"] == scores[4, "steer"]["failure"] == "The explanation has no label."
    # It fires somewhere on nearly half of the pictures, so the model is run to find some on which it does not.
    assert scores[17, "detection"]["n"] == 4
    assert scores[17, "detection"]["value"] in (0, 0.25, 0.5, 0.75, 1)
    assert scores[17, "clip"]["n"] == 2
    assert scores[17, "monosemanticity"]["value"] is not None


def test_the_embedded_model_looks_at_its_own_pictures_and_a_vocabulary_gives_the_labels(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    words = {
        "phrases": {"crown": ["crown", "things"], "lion": ["lion", "animals"], "grey": ["grey background"]},
        "labels": {name: {"concept": "object", "asked": None} for name in ("crown", "things", "lion", "animals", "grey background")},
    }
    (tmp_path / "words.json").write_text(json.dumps(words))
    file = tmp_path / "pipeline.toml"
    file.write_text(
        f'run = "run"\n[model]\npath = "{ROOT}/demo/model"\nid = "facet-emoji"\n[[dictionaries]]\npath = "{ROOT}/demo/dictionaries/model.layers.0"\n'
        f'[explain]\nbundle = "{ROOT}/demo/bundle"\ndictionaries = ["model.layers.0"]\nfeatures = [4, 17]\nexplainers = ["causal", "top-images"]\n'
        'strengths = [4.0, 8.0]\npictures = 3\nquestion = "what is this ?"\nalso = ["name the object ."]\nwordings = 2\nlooks = "studied"\n'
        'vocabulary = "words.json"\nanswer_tokens = 6\n'
    )
    assert main(["explain", str(file)]) == 0
    rows = pq.read_table(tmp_path / "run/explain/model.layers.0/explanations.parquet").to_pylist()
    labels = {(row["index"], row["method"]): row["label"] for row in rows}
    assert len(labels) == len(rows) == 4
    assert (labels[4, "causal"], labels[17, "causal"]) == ("crown", "lion")
    for row in rows:
        assert row["author"] == "facet-emoji"
        assert (row["label"] is None) == (row["failure"] is not None) == (row["text"] is None)
        assert "the narrowest of the vocabulary" in row["prompt"]
