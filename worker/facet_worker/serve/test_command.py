"""The command as people run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from facet_worker.__main__ import main
from facet_worker.engine import Pixels
from facet_worker.serve.checks import HOOK, body_of, long_body, wait_for

# For what comes in a moment, on a machine that may be busy: only a failure takes so long.
PATIENCE = 180.0
ROOT = Path(__file__).parents[3]
MODEL, DICTIONARY = str(ROOT / "demo/model"), str(ROOT / "demo/dictionaries" / HOOK)

# The command with a device that breaks once a file is there.
BREAKING = """
import pathlib, sys
from facet_worker.serve import device

usual, sign = device.check_device, pathlib.Path(sys.argv.pop(1))

def check(where):
    if sign.exists():
        raise device.DeviceBroken("CUDA error: device-side assert triggered")
    usual(where)

device.check_device = check
from facet_worker.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Process:
    """A worker in a process of its own."""

    def __init__(self, *before: str, options: list[str]) -> None:
        command = [sys.executable, *before, "serve", "--model", MODEL, "--model-id", "facet-emoji", "--dictionary", DICTIONARY]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--device", "cpu", *options],
            cwd=ROOT / "worker",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def address(self) -> str:
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        assert self.ready, self.process.communicate()[1]
        return self.ready.split()[4]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Process, Path]]:
    """Two workers that start at once: a usual one with the token `a secret`, and one whose device breaks when the file is made."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "token").write_text("a secret\n")
    usual = Process("-m", "facet_worker", options=["--token-file", str(folder / "token"), "--taps", "--queue", "3"])
    breaking = Process("-c", BREAKING, str(folder / "broken"), options=[])
    yield usual, breaking, folder / "broken"
    usual.stop()
    breaking.stop()


def test_serves_until_it_is_told_to_stop_and_lets_answers_end(started: tuple[Process, Process, Path], picture: Pixels) -> None:
    worker = started[0]
    url, token = worker.address(), {"Authorization": "Bearer a secret"}
    assert worker.ready.startswith("facet-worker is ready at http://127.0.0.1:")
    assert f"facet-emoji/{HOOK}" in worker.ready
    assert httpx.get(f"{url}/info").status_code == 401
    info = httpx.get(f"{url}/info", headers=token).json()
    assert (info["taps"], info["limits"]["queue"], info["device"]) == (True, 3, "cpu")
    with httpx.stream("POST", f"{url}/v1/generate", headers=token, json=long_body(picture, 100), timeout=PATIENCE) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["type"] == "meta"
        worker.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            wait_for(lambda: httpx.get(f"{url}/health").status_code == 0)
        rest = [json.loads(line) for line in lines]
    assert [line["type"] for line in rest] == ["token"] * 100 + ["receipt", "done"]
    assert worker.process.wait(PATIENCE) == 0


def test_ends_with_a_code_when_its_device_is_broken(started: tuple[Process, Process, Path], picture: Pixels) -> None:
    _, worker, sign = started
    url = worker.address()
    assert httpx.get(f"{url}/health", timeout=PATIENCE).status_code == 200
    answer = httpx.post(f"{url}/v1/generate", json=body_of(picture), timeout=PATIENCE)
    assert json.loads(answer.text.splitlines()[-1]) == {"type": "done"}
    sign.touch()
    broken = httpx.get(f"{url}/health", timeout=PATIENCE)
    assert (broken.status_code, broken.json()["error"]["code"]) == (503, "engine_unavailable")
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.append(worker.process.communicate(timeout=PATIENCE)[1]))
    reader.start()
    reader.join(PATIENCE)
    assert worker.process.returncode == 70
    assert "The device computes no more: CUDA error: device-side assert triggered" in errors[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "no/such/folder/at/all"], "There is no folder no/such/folder/at/all"),
        (["--model", "llava-hf/llava-1.5-7b-hf"], "needs a revision"),
        (["--model", "llava-hf/llava-1.5-7b-hf@main"], "what a branch or tag names can change"),
        (["--dictionary", "no-such-folder"], "no dictionary's folder no-such-folder"),
        (["--dictionary", DICTIONARY], f"Two dictionaries are for {HOOK}"),
        (["--host", "0.0.0.0"], "no token is set"),
        (["--token-file", "no-such-file"], "The token's file no-such-file cannot be read"),
        (["--queue", "-1"], "--queue is -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_says_what_keeps_it_from_starting(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACET_WORKER_TOKEN", raising=False)
    assert main(["serve", "--model", MODEL, "--dictionary", DICTIONARY, "--port", "0", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 2


def test_takes_no_empty_token_for_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_WORKER_TOKEN", " ")
    assert main(["serve", "--model", MODEL, "--dictionary", DICTIONARY, "--port", "0"]) == 2
    assert "FACET_WORKER_TOKEN holds no token" in capsys.readouterr().err


def test_does_not_start_with_a_hook_that_attaches_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--model", MODEL, "--dictionary", f"model.layers.99={DICTIONARY}", "--port", "0", "--device", "cpu"]) == 2
    assert "model.layers.99" in capsys.readouterr().err


def test_compiles_where_asked_and_says_what_that_takes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process; the model is not loaded where nothing could compile it, and is loaded with the compiler where something can."""
    asked: list[object] = []

    class Stop(Exception):
        pass

    def load(*given: object) -> None:
        asked.append(given[-1])
        raise Stop

    monkeypatch.setattr("facet_worker.torch_engine.TorchEngine.load", load)
    command = ["serve", "--model", MODEL, "--dictionary", DICTIONARY, "--port", "0", "--device", "cpu"]
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main([*command, "--compile"]) == 2
    assert "C++ compiler" in capsys.readouterr().err
    assert asked == []
    monkeypatch.setenv("CXX", sys.executable)
    for more in ([], ["--compile"]):
        with pytest.raises(Stop):
            main([*command, *more])
    assert asked == [None, "inductor"]
