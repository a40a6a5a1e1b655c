"""Two replicas of the demo's real model on this machine's processor, as `facet-worker serve --replicas 2` starts them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray")

ROOT = Path(__file__).parents[4]
HOOK = "model.layers.1"
TOKEN = "a secret"


# For what comes in a moment, on a machine that may be busy: only a failure takes so long.
PATIENCE = 180.0


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(folder.name)] = parent, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, IndexError, ValueError):
                continue
    return found


class Group:
    """The command, running."""

    def __init__(self, folder: Path, url: str, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process
        self.client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE)
        self.url = url

    def replicas(self) -> set[int]:
        """Process ids of this group's replicas, and of nobody else's."""
        all_of = processes()

        def ours(pid: int) -> bool:
            while pid > 1:
                if pid == self.process.pid:
                    return True
                pid = all_of.get(pid, (0, ""))[0]
            return False

        return {pid for pid, (_, line) in all_of.items() if line.startswith("ray::ServeReplica:facet:Replica") and ours(pid)}

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=PATIENCE).json()
        return answer


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    # A socket's path has little room.
    folder = Path(tempfile.mkdtemp(prefix="fr", dir="/tmp"))
    command = [
        *(sys.executable, "-m", "facet_worker", "serve", "--replicas", "2", "--port", "0", "--queue", "1", "--taps", "--grace", "2"),
        *("--model", "demo/model", "--dictionary", f"demo/dictionaries/{HOOK}", "--model-id", "facet-emoji"),
    ]
    paths = [str(ROOT / "worker"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "RAY_TMPDIR": str(folder), "FACET_WORKER_TOKEN": TOKEN, "PYTHONPATH": os.pathsep.join(paths), "HOME": str(folder)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("facet-worker is ready at http://127.0.0.1:"), (folder / "log").read_text()[-3000:]
    assert "facet-emoji/model.layers.1 (2 replicas)" in line
    running = Group(folder, line.split()[4], process)
    yield running
    if process.poll() is None:
        # Killed at once, it would leave Ray's own processes behind.
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def picture() -> dict[str, Any]:
    return dict(pq.read_table(ROOT / "demo/bundle/images.parquet", columns=["sha256", "bytes"]).slice(0, 1).to_pylist()[0])


@pytest.fixture(scope="module")
def request_of(picture: dict[str, Any]) -> Any:
    def asked(**more: Any) -> dict[str, Any]:
        parts = [{"type": "image", "image": {"sha256": picture["sha256"]}}, {"type": "text", "text": "what do you see ?"}]
        request = {
            "dictionary": f"facet-emoji/{HOOK}",
            "messages": [{"role": "user", "content": parts}],
            "interventions": [{"feature": 5, "value": 30, "unit": "raw"}],
            **more.pop("request", {}),
        }
        data = base64.b64encode(picture["bytes"]).decode()
        return {"protocol": 1, "request": request, "images": [{"sha256": picture["sha256"], "data": data}], "units": {}, **more}

    return asked


@pytest.fixture(scope="module")
def long(request_of: Any) -> dict[str, Any]:
    """Some seconds of work: many answers of a fixed length side by side."""
    sweep = {"sampling": {"maxTokens": 256}, "sweep": {"clamp": 0, "values": [1] * 8}}
    body: dict[str, Any] = request_of(request=sweep, tap={"force": {f"sweep:{i}": [10] * 250 for i in range(8)}})
    return body


class Stream(threading.Thread):
    """One request, read as it comes."""

    def __init__(self, group: Group, body: dict[str, Any], path: str = "/v1/generate") -> None:
        super().__init__(daemon=True)
        self.group, self.body, self.path = group, body, path
        self.lines: list[str] = []
        self.status = 0
        self.leave = threading.Event()
        self.start()

    def run(self) -> None:
        with self.group.client.stream("POST", self.path, json=self.body) as answer:
            self.status = answer.status_code
            for line in answer.iter_lines():
                self.lines.append(line)
                if self.leave.is_set():
                    return

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def until(self, number: int, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while len(self.lines) < number:
            assert time.monotonic() < deadline, f"{len(self.lines)} lines, the last {self.lines[-1:]}"
            time.sleep(0.01)


def both_busy(group: Group, long: dict[str, Any]) -> list[Stream]:
    """A stream on each replica, one after the other: while a replica still ends what its client left, two at once are one more than may wait."""
    streams = []
    for _ in range(2):
        streams.append(Stream(group, long))
        streams[-1].until(20)
    return streams


def test_answers_as_one_process_does(group: Group, request_of: Any, picture: dict[str, Any]) -> None:
    from facet_worker.engine_checks import ask, run
    from facet_worker.serve.images import Picture
    from facet_worker.torch_engine import TorchEngine

    answer = group.client.post("/v1/generate", json=request_of())
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    engine = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")
    shown = Picture(base64.b64encode(picture["bytes"]).decode(), 1).pixels()
    clamp = {"feature": 5, "value": 30, "unit": "raw"}
    alone = run(engine, ask(engine, [clamp], text="what do you see ?", sampling={"maxTokens": 48}), [shown])
    for arm in ("steered", "baseline"):
        assert [event["id"] for event in events if event["type"] == "token" and event["arm"] == arm] == alone.ids[arm]
    receipt = next(event["receipt"] for event in events if event["type"] == "receipt" and event["receipt"]["arm"] == "steered")
    assert receipt["prefill"] == alone.receipts["steered"]["prefill"]
    assert receipt["outcome"] == "steered"
    assert events[-1] == {"type": "done"}


def test_says_what_it_serves_and_lets_in_who_has_the_token(group: Group) -> None:
    info = group.client.get("/info").json()
    assert info["dictionaries"][0]["dictionary"]["ref"] == f"facet-emoji/{HOOK}"
    assert group.client.get("/v1/models").json()["data"][0]["id"] == f"facet-emoji/{HOOK}"
    assert group.health() == {"status": "ok", "replicas": {"RUNNING": 2}, "waiting": 0}
    metrics = group.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "facet_running 0.0" in metrics.text
    for path in ("/info", "/v1/models", "/v1/generate", "/metrics"):
        stranger = httpx.get(f"{group.url}{path}", timeout=PATIENCE)
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "unauthorized")
    assert len(group.replicas()) == 2


def test_passes_refusals_on_as_they_are(group: Group, request_of: Any) -> None:
    refused = group.client.post("/v1/generate", json=request_of(request={"interventions": [{"feature": 10**6}]}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "clamp_nowhere")
    refused = group.client.post("/v1/chat/completions", json={"model": "m/d", "messages": [], "stream": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
    refused = group.client.get("/v1/generate")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert group.client.get("/nothing").json()["error"]["code"] == "not_found"


def test_chats(group: Group, picture: dict[str, Any]) -> None:
    url = f"data:image/webp;base64,{base64.b64encode(picture['bytes']).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what do you see ?"}]
    body = {
        "model": f"facet-emoji/{HOOK}",
        "messages": [{"role": "user", "content": parts}],
        "interventions": [{"feature": 5, "value": 30}],
    }
    whole = group.client.post("/v1/chat/completions", json=body).json()
    assert whole["facet"]["outcome"] == "steered"
    streamed = group.client.post("/v1/chat/completions", json={**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    said = "".join(json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1])
    assert said == whole["choices"][0]["message"]["content"] != ""


def test_says_busy_when_all_run_and_the_queue_is_full_and_goes_on_when_a_client_leaves(group: Group, long: Any, request_of: Any) -> None:
    running = both_busy(group, long)
    waiting = Stream(group, request_of())
    waiting.until(1)
    assert waiting.events == [{"type": "queued", "position": 0}]
    for path, body in (("/v1/generate", request_of()), ("/v1/chat/completions", {"model": "m/d", "messages": [], "stream": True})):
        refused = group.client.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_busy")
        assert int(refused.headers["retry-after"]) >= 1
    assert group.health()["waiting"] == 1
    assert group.client.get("/info").status_code == 200
    running[0].leave.set()
    waiting.until(5)
    # What left had as long to go as the other, which is still at it: its replica was free at once.
    assert running[1].is_alive()
    waiting.join(PATIENCE)
    assert waiting.events[-1] == {"type": "done"}
    running[1].leave.set()
    running[1].join(PATIENCE)


def test_ends_the_stream_of_a_replica_that_dies_with_an_error_and_replaces_it(group: Group, long: Any, request_of: Any) -> None:
    before = group.replicas()
    streams = both_busy(group, long)
    for stream in streams:
        stream.until(100)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while all(stream.is_alive() for stream in streams):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    broken, other = sorted(streams, key=lambda stream: stream.is_alive())
    assert broken.status == 200
    assert len(broken.lines) > 100
    last = broken.events[-1]
    assert (last["type"], last["error"]["code"], last["error"]["retry"]) == ("error", "engine_unavailable", True)
    # Others go on: the stream on the other replica to its end, and new requests behind it.
    assert other.is_alive()
    assert group.client.post("/v1/generate", json=request_of()).text.splitlines()[-1] == '{"type":"done"}'
    other.join(PATIENCE)
    assert other.events[-1] == {"type": "done"}
    assert sum(event["type"] == "receipt" for event in other.events) == 10
    deadline = time.monotonic() + PATIENCE
    while group.health().get("replicas") != {"RUNNING": 2} or len(group.replicas()) != 2:
        assert time.monotonic() < deadline, group.health()
        time.sleep(0.2)
    assert victim not in group.replicas()
    assert before - {victim} < group.replicas()


def test_ends_when_told_to_and_leaves_nothing_behind(group: Group) -> None:
    assert not (group.folder / ".ray").exists()
    group.client.close()
    group.process.send_signal(signal.SIGTERM)
    assert group.process.wait(PATIENCE) == 0
    assert not group.replicas()


def test_says_why_a_group_does_not_start() -> None:
    command = [sys.executable, "-m", "facet_worker", "serve", "--replicas", "2", "--host", "0.0.0.0", "--port", "0"]
    env = {name: value for name, value in os.environ.items() if name != "FACET_WORKER_TOKEN"} | {"PYTHONPATH": str(ROOT / "worker")}
    given = [*command, "--model", "demo/model", "--dictionary", f"demo/dictionaries/{HOOK}"]
    ended = subprocess.run(given, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, "no token is set" in ended.stderr) == (2, True)
