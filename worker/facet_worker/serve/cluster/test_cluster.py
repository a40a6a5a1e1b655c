"""Two replicas of the demo's real model on this machine's processor, as `facet-worker serve --replicas 2` starts them."""

from __future__ import annotations

import base64
import contextlib
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
from safetensors.torch import load_file, save_file

pytest.importorskip("ray")

import grpc

ROOT = Path(__file__).parents[4]
HOOK = "model.layers.1"
TOKEN = "a secret"
RAY_TOKEN = "0123456789abcdef" * 4


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

    def __init__(self, folder: Path, url: str, process: subprocess.Popen[str], env: dict[str, str]) -> None:
        self.folder, self.process, self.env = folder, process, env
        self.client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE)
        self.url = url

    def tree(self) -> dict[int, str]:
        """Command lines of this group's processes, and of nobody else's, by process id."""
        all_of = processes()

        def ours(pid: int) -> bool:
            while pid > 1:
                if pid == self.process.pid:
                    return True
                pid = all_of.get(pid, (0, ""))[0]
            return False

        return {pid: line for pid, (_, line) in all_of.items() if ours(pid)}

    def replicas(self) -> set[int]:
        """Process ids of this group's replicas."""
        return {pid for pid, line in self.tree().items() if line.startswith("ray::ServeReplica:facet:Replica")}

    def listens_at(self) -> dict[int, list[tuple[str, int]]]:
        """By process, where it takes connections: addresses as the kernel writes them, and ports."""
        rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        taking = {f"socket:[{row[9]}]": row[1].partition(":") for row in rows if row[3] == "0A"}
        found: dict[int, list[tuple[str, int]]] = {}
        for pid in self.tree():
            for file in Path(f"/proc/{pid}/fd").glob("*"):
                with contextlib.suppress(OSError):
                    if place := taking.get(file.readlink().name):
                        found.setdefault(pid, []).append((place[0], int(place[2], 16)))
        return found

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
    env = {
        **{**os.environ, "RAY_TMPDIR": str(folder), "FACET_WORKER_TOKEN": TOKEN, "PYTHONPATH": os.pathsep.join(paths), "HOME": str(folder)},
        "RAY_AUTH_TOKEN": RAY_TOKEN,
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("facet-worker is ready at http://127.0.0.1:"), (folder / "log").read_text()[-3000:]
    assert "facet-emoji/model.layers.1 (2 replicas)" in line
    running = Group(folder, line.split()[4], process, env)
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
    clamped = ask(engine, request_of()["request"]["interventions"], text="what do you see ?", sampling={"maxTokens": 48})
    alone = run(engine, clamped, [shown])
    for arm in ("steered", "baseline"):
        assert [event["id"] for event in events if event["type"] == "token" and event["arm"] == arm] == alone.ids[arm]
    receipt = next(e["receipt"] for e in events if e["type"] == "receipt" and e["receipt"]["arm"] == "steered")
    assert receipt["prefill"] == alone.receipts["steered"]["prefill"]
    assert (receipt["outcome"], events[-1]) == ("steered", {"type": "done"})
    asked = {name: part for name, part in request_of()["request"].items() if name != "interventions"} | {"limit": 9}
    told = group.client.post("/v1/activations", json={"protocol": 1, "request": asked, "images": request_of()["images"]})
    assert told.json() == json.loads(json.dumps(engine.activations(asked, [shown], lambda: False)))


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


def test_listens_on_this_machine_only_but_for_what_asks_for_rays_token(group: Group) -> None:
    tree, places = group.tree(), group.listens_at()
    assert {"gcs_server", "raylet"} <= {tree[pid].split()[0].rpartition("/")[2] for pid in places}
    # 127.0.0.1 in the machine's order of bytes, alone or as the end of an IPv6 address.
    loopback = "0100007F" if sys.byteorder == "little" else "7F000001"
    open_to_all = {pid: [port for address, port in taken if address[-8:] != loopback] for pid, taken in places.items()}
    replicas = {pid for pid, line in tree.items() if line.startswith("ray::ServeReplica")}
    assert {pid for pid, ports in open_to_all.items() if ports} <= replicas
    for pid in replicas:
        assert len(open_to_all[pid]) <= 1
        for port in open_to_all[pid]:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=PATIENCE)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


# What `serve deploy` has Ray do with a changed config, without its dashboard, which takes the config from the command.
ROLL_OUT = """
import json, sys
from facet_worker.serve.cluster.options import GroupOptions
from ray import serve
from facet_worker.serve import ray_app
ray_app.start_ray(0)
serve.run(ray_app.app(GroupOptions.model_validate(json.loads(sys.argv[1]))), name=ray_app.NAME, route_prefix="/")
"""


def changed_dictionary(folder: Path) -> Path:
    """The demo's with another version's hash: numbers that are hardly others."""
    shutil.copytree(ROOT / "demo/dictionaries" / HOOK, folder / HOOK)
    weights = load_file(folder / HOOK / "sae.safetensors")
    weights["b_dec"] = weights["b_dec"] + 1e-4
    save_file(weights, folder / HOOK / "sae.safetensors")
    return folder / HOOK


def test_rolls_a_changed_dictionary_out_while_requests_go_on(group: Group, request_of: Any) -> None:
    def version() -> str:
        return str(group.client.get("/info").json()["dictionaries"][0]["dictionary"]["sha256"])

    old, before = version(), group.replicas()
    answers: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = group.client.post("/v1/generate", json=request_of())
            if answer.status_code != 200 or not answer.text.endswith('{"type":"done"}\n'):
                answers.append(answer.text[-1000:])
                continue
            events = [json.loads(line) for line in answer.text.splitlines()]
            answers.extend({event["receipt"]["dictionary"]["sha256"] for event in events if event["type"] == "receipt"})

    # One at a time, so that none can be refused as one too many: half of the replicas are away in between.
    client = threading.Thread(target=ask, daemon=True)
    client.start()
    options = {"model": str(ROOT / "demo/model"), "dictionary": [f"{HOOK}={changed_dictionary(group.folder)}"], "model_id": "facet-emoji"}
    kept = {"replicas": 2, "queue": 1, "grace": 2, "taps": True}
    command = [sys.executable, "-c", ROLL_OUT, json.dumps({**options, **kept})]
    env = {**group.env, "RAY_ADDRESS": "auto", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    ended = subprocess.run(command, cwd=group.folder, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr[-3000:]
    rolled_out = len(answers)
    deadline = time.monotonic() + PATIENCE
    while len(answers) < rolled_out + 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    over.set()
    client.join(PATIENCE)
    new = version()
    assert new != old
    # None failed, and what was asked after the command had ended came from the new one: all replicas were new then.
    assert set(answers) == {old, new}
    assert answers[0] == old
    assert set(answers[rolled_out + 1 :]) == {new}
    assert not before & group.replicas()
    assert len(group.replicas()) == 2


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
