"""The command that measures clamps on a large model works, although only a GPU can run it at its size."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench/worker_clamps.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("worker_clamps", BENCH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "COUNTS", {"0": 0, "0 again": 0, "8": 8})
    return module


def test_measures_a_bfloat16_llava_next_made_on_no_device(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow, and otherwise as `8b` is: built without memory, filled, tiled pictures, one stream and several as one batch."""
    out, cases = tmp_path / "out.json", []
    usual = bench.Case.__init__

    def noted(case: Any, *given: Any) -> None:
        usual(case, *given)
        cases.append(case)

    monkeypatch.setattr(bench.Case, "__init__", noted)
    given = ["8b", "--narrow", "--tokens", "5", "--streams", "1", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["worker_clamps.py", *given])
    jobs: list[Any] = []
    add = bench.Together.add

    def kept(self: Any, owner: int, job: Any) -> None:
        jobs.append(job)
        add(self, owner, job)

    monkeypatch.setattr(bench.Together, "add", kept)
    bench.main()
    found = json.loads(out.read_text())
    assert (found["dtype"], found["latents"]) == ("torch.bfloat16", 2048)
    assert {streams: list(each)[:3] for streams, each in found["streams"].items()} == {
        "1": ["0", "0 again", "8"],
        "2": ["0", "0 again", "8"],
    }
    for each in found["streams"].values():
        assert all(each[name]["tokensPerSecond"] > 0 < each[name]["firstTokenMs"] for name in ("0", "0 again", "8"))
        assert each["peakMiB"] > 0
    assert [case.covers for case in cases] == [False, False, True] * 2
    # The base grid, four tiles of as much, and a newline token a row of theirs.
    for job in jobs:
        grid = job.prompt.layout.images[0]
        assert (grid.rows, grid.cols, len(grid.extra)) == (24, 24, 4 * 24 * 24 + 48)
        run = job.runs[0]
        receipt = run.receipt(job.frame, None, 0.0)
        clamps = receipt["clamps"]
        assert receipt["tokens"] == 5
        assert all(clamp["image"]["planned"] == 5 * 24 * 24 + 48 for clamp in clamps)
        assert receipt["outcome"] == ("steered" if clamps else "unchanged")
        assert receipt["decode"] == ({"planned": 4, "changed": 4} if clamps else {"planned": 0, "changed": 0})
