"""Run folders: what a real SIGKILL leaves, other configurations, two processes, damaged shards, a full disk."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facet_worker.errors import FacetError
from facet_worker.pipeline.run_folder import CORRUPT, RunFolder, Step
from facet_worker.pipeline.troubles import Troubles

# Shards of 300 KB made from their number, so that a kill falls into writing as well as between shards.
PROGRAM = """
import hashlib, sys, time
from pathlib import Path
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.troubles import Troubles

def make(number):
    troubles = Troubles()
    if number % 3 == 0:
        troubles.add("The number is a multiple of three", str(number))
    block = hashlib.sha256(str(number).encode()).digest() * 10_000
    def write(path):
        with path.open("wb") as file:
            for start in range(0, len(block), 32_000):
                file.write(block[start:start + 32_000])
                file.flush()
                time.sleep(0.001)
    return step.save_shard(number, {"bin": write}, seconds=0.01, troubles=troubles)

with RunFolder.open(Path(sys.argv[1])) as run:
    step = run.step("made", {"size": 1}, {"input": "a" * 64}, seed=3)
    records = step.run_shards(int(sys.argv[2]), make)
    step.finish({"shards": len(records)})
"""


def start(folder: Path, shards: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(shards)], stderr=subprocess.PIPE)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the step but its manifest, whose times differ."""
    return {path.name: path.read_bytes() for path in (folder / "made" / "shards").iterdir()}


def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    assert start(tmp_path / "whole", 24).wait() == 0
    draw, kills, seen = random.Random(5), 0, set()
    shards = tmp_path / "killed" / "made" / "shards"

    def done() -> int:
        return len(list(shards.glob("*.json"))) if shards.is_dir() else 0

    while done() < 20:
        process = start(tmp_path / "killed", 24)
        # Three shards further than the last time, and then at any moment.
        until = done() + 3
        while process.poll() is None and done() < until:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kills += 1
        seen.add(done())
    assert start(tmp_path / "killed", 24).wait() == 0
    assert kills >= 3
    assert len(seen) >= 3
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    made = [json.loads((tmp_path / name / "made" / "manifest.json").read_text()) for name in ("whole", "killed")]
    for key in ("configuration", "inputs", "seed", "versions", "shards", "troubles", "report", "seconds_in_shards"):
        assert made[0][key] == made[1][key], key
    assert made[0]["troubles"] == [{"cause": "The number is a multiple of three", "count": 8, "examples": ["0", "12", "15", "18", "21"]}]
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.open(tmp_path / "run") as folder:
        yield folder


def save(step: Step, number: int, text: str = "x") -> None:
    step.save_shard(number, {"txt": lambda path: path.write_text(text)}, seconds=1.5)


def test_another_configuration_is_refused_by_what_differs(run: RunFolder) -> None:
    run.step("cache", {"keep": {"top": 5}, "hooks": ["a"]}, {"model": "a" * 64})
    run.step("cache", {"keep": {"top": 5}, "hooks": ["a"]}, {"model": "a" * 64})
    with pytest.raises(
        FacetError, match=r"configuration\.keep\.top was 5 and is 6; inputs\.model was a{12}… and is b{12}…; seed was 0 and is 1\."
    ):
        run.step("cache", {"keep": {"top": 6}, "hooks": ["a"]}, {"model": "b" * 64}, seed=1)
    with pytest.raises(FacetError, match=r"configuration\.more was not set and is True"):
        run.step("cache", {"keep": {"top": 5}, "hooks": ["a"], "more": True}, {"model": "a" * 64})


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    process = start(tmp_path / "run", 400)
    while not (tmp_path / "run" / "made" / "manifest.json").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(FacetError, match=f"process {process.pid}") as refused, RunFolder.open(tmp_path / "run"):
        pass
    assert refused.value.code == "engine_busy"
    process.kill()
    process.wait()
    with RunFolder.open(tmp_path / "run"):
        pass


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "record"])
def test_a_damaged_shard_is_counted_and_made_again_and_no_other(run: RunFolder, damage: str) -> None:
    step = run.step("cache", {}, {})
    for number in range(4):
        save(step, number, f"shard {number}")
    file = step.shard_file(2, "txt")
    if damage == "gone":
        file.unlink()
    elif damage == "record":
        step.shard_file(2, "json").write_text("{")
    else:
        file.write_text("shard 3" if damage == "changed" else "sha")
    again, made = run.step("cache", {}, {}), []

    def make(number: int) -> dict[str, object]:
        made.append(number)
        save(again, number, f"shard {number}")
        return {}

    again.run_shards(4, make)
    assert made == [2]
    assert file.read_text() == "shard 2"
    assert again.finish()["troubles"] == [{"cause": CORRUPT, "count": 1, "examples": ["cache/shards/00002"]}]


def test_a_step_that_is_not_finished_is_none_to_build_on(run: RunFolder) -> None:
    with pytest.raises(FacetError, match="has no cache yet"):
        run.made("cache")
    step = run.step("cache", {}, {})
    save(step, 0)
    with pytest.raises(FacetError, match="not finished"):
        run.fingerprint("cache")
    (step.folder / "result.txt").write_text("made")
    step.finish({"n": 3}, [step.folder / "result.txt"])
    assert run.made("cache").report == {"n": 3}
    before = run.fingerprint("cache")
    (step.folder / "result.txt").write_text("otherwise")
    step.finish({"n": 3}, [step.folder / "result.txt"])
    assert run.fingerprint("cache") != before


FULL = f"""
set -e
mount -t tmpfs -o size=2m none "$AT"
status=0
{sys.executable} -c "$PROGRAM" "$AT/run" 12 2> "$AT/../said" || status=$?
tail -1 "$AT/../said"
ls -a "$AT/run/made/shards" | grep -c part || true
mount -o remount,size=8m "$AT"
{sys.executable} -c "$PROGRAM" "$AT/run" 12
cp -r "$AT/run" "$AT/../after"
"""


def test_a_full_disk_is_a_typed_error_and_the_run_goes_on_afterwards(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", str(mounted)], capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL], env={"AT": str(mounted), "PROGRAM": PROGRAM, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, parts = done.stdout.splitlines()
    assert "FacetError: The disk has no room for 0000" in said
    assert parts == "0"
    assert start(tmp_path / "whole", 12).wait() == 0
    assert contents(tmp_path / "after") == contents(tmp_path / "whole")


def test_a_disk_that_is_full_from_the_beginning_is_told_and_lets_go_of_the_folder(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(FacetError) as refused, RunFolder.open(tmp_path / "run"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.code == "disk_full"
    with RunFolder.open(tmp_path / "run") as folder:
        assert folder.folder.is_dir()


def test_a_folder_that_was_under_way_is_swept_as_files_are(tmp_path: Path) -> None:
    part = tmp_path / "run" / "cache" / ".bundle.part"
    part.mkdir(parents=True)
    (part / "images.parquet").write_text("half")
    with RunFolder.open(tmp_path / "run"):
        assert not part.exists()


def test_troubles_are_the_same_in_any_order() -> None:
    parts = []
    for number in range(9):
        one = Troubles()
        one.add("It is odd" if number % 2 else "It is even", f"{number}.png")
        parts.append(one)
    told = set()
    for seed in range(5):
        random.Random(seed).shuffle(parts)
        total = Troubles()
        for part in parts:
            total.take(Troubles.of_json(part.to_json()))
        told.add(json.dumps(total.to_json()))
        assert total.total == 9
    assert len(told) == 1
    assert "5 × It is even (0.png, 2.png, 4.png, 6.png, 8.png)." in total.lines()
