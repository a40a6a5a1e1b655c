"""What tests of the server need: one that runs on a loopback port, and requests to it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.serve.host import EngineHost
from facet_worker.serve.server import address_of, bind, listen

HOOK = "model.layers.1"


@dataclass
class Worker:
    """A server that runs, and what it runs on."""

    host: EngineHost
    url: str
    client: httpx.Client
    server: uvicorn.Server

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def metric(self, name: str, **labels: str) -> float:
        return float(self.host.metrics.registry.get_sample_value(name, labels) or 0.0)

    def generate(self, body: Any, **more: Any) -> list[dict[str, Any]]:
        """Every event of a request that is let in."""
        answer = self.client.post("/v1/generate", json=body, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.text.splitlines()]

    def stop(self) -> None:
        """As a signal does."""
        self.server.should_exit = True

    def until_idle(self) -> None:
        wait_for(lambda: self.host.line.running == 0 and not len(self.host.line))


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not come about in time."
        time.sleep(0.005)


@contextmanager
def running(host: EngineHost) -> Iterator[Worker]:
    """A host on a socket of its own, in a thread."""
    listening = bind("127.0.0.1", 0, host.settings.token)
    url = address_of(listening)
    ready = threading.Event()
    server = listen(host, ready.set)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    assert ready.wait(20)
    token = {"Authorization": f"Bearer {host.settings.token}"} if host.settings.token else {}
    with httpx.Client(base_url=url, headers=token, timeout=60) as client:
        try:
            yield Worker(host, url, client, server)
        finally:
            server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def sent(pixels: Pixels) -> dict[str, str]:
    """A picture as the wire has it, losslessly."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"sha256": hashlib.sha256(file.getvalue()).hexdigest(), "data": base64.b64encode(file.getvalue()).decode()}


def body_of(pixels: Pixels, clamps: Any = (), tap: Any = None, **more: Any) -> dict[str, Any]:
    """A generate request with as little in it as may be."""
    image = sent(pixels)
    words = [{"type": "image", "image": {"sha256": image["sha256"]}}, {"type": "text", "text": "what do you see ?"}]
    request = {
        "dictionary": f"facet-emoji/{HOOK}",
        "messages": [{"role": "user", "content": words}],
        **({"interventions": list(clamps)} if clamps else {}),
        **more,
    }
    return {"protocol": 1, "request": request, "images": [image], "units": {}, **({"tap": tap} if tap else {})}


def long_body(pixels: Pixels, tokens: int = 200, **more: Any) -> dict[str, Any]:
    """A request whose one arm writes that many tokens, whatever the model thinks."""
    sampling = {"maxTokens": tokens, **more.pop("sampling", {})}
    return body_of(pixels, tap={"force": {"steered": [10] * tokens}}, controls=[], sampling=sampling, alternatives=0, **more)


class Asking:
    """A request whose answer is read line by line, over a socket that can be closed at any time."""

    def __init__(self, worker: Worker, body: Any) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
        self.connection.request("POST", "/v1/generate", json.dumps(body))
        self.answer: http.client.HTTPResponse | None = None

    def lines(self) -> Iterator[dict[str, Any]]:
        self.answer = self.answer or self.connection.getresponse()
        while line := self.answer.readline():
            if line.strip():
                yield json.loads(line)

    def read(self, n: int) -> list[dict[str, Any]]:
        lines = self.lines()
        return [next(lines) for _ in range(n)]

    def close(self) -> None:
        if self.answer:
            self.answer.close()
        self.connection.close()
