"""`facet-worker run` through every step, killed by SIGKILL again and again, in each of them: it ends with what a run that nobody disturbed ends with."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from PIL import Image

from facet_worker import __main__ as program
from facet_worker import bundle
from facet_worker.bundle import SCHEMAS, check_bundle
from facet_worker.endpoint.false_endpoint import question, serving
from facet_worker.endpoint.store import Store
from facet_worker.pipeline import command
from facet_worker.pipeline.steps import MODULES, Context, run_step
from facet_worker.training.learner import Learner

HOOK = "model.layers.1"
KILLS = (("train", 51), ("cache", 13), ("cache", 31), ("explain", 13), ("score", 11), ("publish", 3), ("publish", 5))
"""In which step a process is killed, and at which of the events that it has there."""

PIPELINE = """
run = "{name}"
[model]
path = "{model}"
id = "tiny"
devices = ["cpu"]
unchecked_dictionary = true
[images]
path = "pictures"
captions = true
[train]
hooks = ["model.layers.1"]
latents = 96
k = 4
steps = 40
batch = 64
lr = 3e-3
warmup = 5
buffer = 192
held_out = 4
save_every = 10
[cache]
shard = 2
batch = 1
side = 32
[explain]
explainers = ["steering-informed", "top-images", "causal"]
features = {features}
question = "what is it ?"
pictures = 2
answer_tokens = 4
strengths = [2.0, 4.0]
endpoint = {{ url = "{url}", model = "sees", concurrency = 1 }}
[score]
metrics = ["consistency", "detection", "steer"]
features = {features}
question = "what is it ?"
pictures = 2
answer_tokens = 4
trials = 2
on = 2
off = 2
endpoint = {{ url = "{url}", model = "judges", concurrency = 1 }}
[publish]
"""


def answer(body: dict[str, Any], _: int) -> str:
    """Of each request an answer of its own, so that none can stand in the place of another."""
    digest = hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).hexdigest()
    said = question(body)
    if "yes or no" in said:
        return "yes" if int(digest, 16) % 2 else "no"
    return f"[LABEL]: thing {digest[:6]}\n[CONCEPT]: object" if "[LABEL]" in said else f"[EXPLANATION]: It is {digest[:12]}."


def work(file: str, step: str, at: int) -> None:
    """The command in a process of its own, killed at an event of a step: before or after a batch is learned, a file gets its name, a table of a
    bundle is written, or a record is kept."""
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    current = ["begun"]

    def event() -> None:
        counts[current[0]] += 1
        if current[0] == step and counts[step] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(usual: Callable[..., Any]) -> Callable[..., Any]:
        def told(*arguments: Any, **named: Any) -> Any:
            event()
            done = usual(*arguments, **named)
            event()
            return done

        return told

    def noted(name: str, context: Context) -> dict[str, Any]:
        current[0] = name
        made = run_step(name, context)
        Path(file).with_suffix(f".{name}").write_text(str(counts[name]))
        return made

    command.run_step = noted
    Path.replace = around(Path.replace)  # type: ignore[method-assign]
    Learner.step = around(Learner.step)  # type: ignore[method-assign]
    bundle._write = around(bundle._write)
    Store.keep_record = around(Store.keep_record)  # type: ignore[method-assign]
    os._exit(program.main(["run", file]))


def rows(of: Path, path: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "created_at"} for row in pq.read_table(of / path).to_pylist()]


def test_killed_in_every_step_a_run_ends_as_an_unbroken_one(tiny_folder: Path, pictures: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(10):
        pixels = pictures[number % 12] // (1 + number // 12)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
        (tmp_path / "pictures" / f"{number}.txt").write_text(("a red dog", "where is it ?", "a sun")[number % 3])
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload([__name__])
    with serving(answer) as endpoint:

        def run(name: str, step: str = "", at: int = 0) -> int | None:
            file = tmp_path / f"{name}.toml"
            file.write_text(PIPELINE.format(name=name, model=tiny_folder, url=endpoint.url, features=[0, 1, 2]))
            process = forked.Process(target=work, args=(str(file), step, at))
            process.start()
            process.join(120)
            return process.exitcode

        assert run("whole") == 0
        asked = len(endpoint.bodies)
        for step, at in KILLS:
            assert run("killed", step, at) == -signal.SIGKILL, (step, at)
        assert run("killed") == 0
        # Answers are kept before records, so that nothing is asked twice.
        assert len(endpoint.bodies) == 2 * asked
    assert {step for step, _ in KILLS} == set(MODULES)
    whole, broken = (tmp_path / name for name in ("whole", "killed"))
    for name in ("cfg.json", "sae.safetensors"):
        own = f"train/dictionaries/{HOOK}/{name}"
        assert (broken / own).read_bytes() == (whole / own).read_bytes(), own
    published = [folder / "publish" / "bundle" for folder in (whole, broken)]
    manifests = [check_bundle(of) for of in published]
    assert manifests[0]["dictionaries"] == manifests[1]["dictionaries"]
    for path in manifests[0]["files"]:
        if Path(path).stem in ("explanations", "scores"):
            assert rows(published[1], path) == rows(published[0], path), path
        else:
            assert (published[1] / path).read_bytes() == (published[0] / path).read_bytes(), path
    assert {row["metric"] for row in rows(published[0], f"{HOOK}/scores.parquet")} == {"consistency", "detection", "steer"}
    assert {row["method"] for row in rows(published[0], f"{HOOK}/explanations.parquet")} == {"steering-informed", "top-images", "causal"}
    assert any(row["label"] for row in rows(published[0], f"{HOOK}/explanations.parquet"))
    assert set(SCHEMAS["explanations"].names) > {"created_at"}
    for step in MODULES:
        made = [json.loads((folder / step / "manifest.json").read_text()) for folder in (whole, broken)]
        for key in ("configuration", "seed", "troubles", "versions"):
            assert made[0][key] == made[1][key], (step, key)
        assert made[0]["inputs"].keys() == made[1]["inputs"].keys(), step
        assert made[0]["inputs"]
        assert min(made[0]["seconds"], made[1]["seconds"]) > 0
    assert not list(tmp_path.rglob("*.part"))
    assert not list((broken / "train" / "checkpoints").iterdir())
