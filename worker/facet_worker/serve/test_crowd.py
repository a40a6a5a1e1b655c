"""Several clients at once, clients that leave, and a server that is told to stop: over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest

from facet_worker.engine import Pixels
from facet_worker.serve.answers import EventStream
from facet_worker.serve.checks import Asking, Worker, body_of, long_body, running, wait_for
from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import Settings
from facet_worker.torch_engine import TorchEngine


@pytest.fixture
def after_leaving(worker: Worker, demo: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine still says once it was told that the client is gone."""
    worker.until_idle()
    said: list[str] = []
    usual = demo.generate

    def generate(request: Any, images: Any, units: Any, cancelled: Any, tap: Any = None) -> Iterator[dict[str, Any]]:
        for event in usual(request, images, units, cancelled, tap):
            if cancelled():
                said.append(event["type"])
            yield event

    monkeypatch.setattr(demo, "generate", generate)
    return said


def test_stops_within_a_token_when_the_client_leaves(worker: Worker, picture: Pixels, after_leaving: list[str]) -> None:
    before, cancelled = worker.metric("facet_tokens_total"), worker.metric("facet_requests_total", endpoint="generate", outcome="cancelled")
    with closing(Asking(worker, long_body(picture))) as asking:
        assert [line["type"] for line in asking.read(4)] == ["meta", "token", "token", "token"]
        assert worker.host.line.running > 0
    worker.until_idle()
    assert after_leaving.count("token") <= 1
    assert worker.metric("facet_tokens_total") - before < 150
    assert worker.metric("facet_requests_total", endpoint="generate", outcome="cancelled") == cancelled + 1
    assert worker.generate(body_of(picture))[-1] == {"type": "done"}


def test_tells_those_who_wait_where_they_are_and_refuses_beyond_the_last_place(worker: Worker, picture: Pixels) -> None:
    worker.until_idle()
    with closing(Asking(worker, long_body(picture))) as first:
        first.read(2)
        with closing(Asking(worker, body_of(picture))) as second:
            assert second.read(1) == [{"type": "queued", "position": 0}]
            with closing(Asking(worker, body_of(picture))) as third:
                assert third.read(1) == [{"type": "queued", "position": 1}]
                busy = worker.client.post("/v1/generate", json=body_of(picture))
                assert (busy.status_code, busy.json()["error"]["code"], busy.json()["error"]["retry"]) == (503, "engine_busy", True)
                assert 1 <= int(busy.headers["retry-after"]) <= 60
                assert "2 requests are already waiting" in busy.json()["error"]["message"]
                assert worker.metric("facet_queue_length") == 2
                # Who leaves the line gives up the place, and the run in front goes on.
                second.close()
                assert third.read(1) == [{"type": "queued", "position": 0}]
                assert worker.host.line.running > 0
                first.close()
                rest = list(third.lines())
                assert (rest[0]["type"], rest[-1]["type"]) == ("meta", "done")
                receipt = next(line["receipt"] for line in rest if line["type"] == "receipt")
                assert receipt["timingsMs"]["queued"] > 1
    worker.until_idle()


def test_reads_no_more_bodies_at_once_than_may_wait(worker: Worker, picture: Pixels) -> None:
    worker.until_idle()
    half = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(worker.host.settings.queue + 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", worker.port))).sendall(half)
        wait_for(lambda: worker.host.being_read == worker.host.settings.queue + 1)
        busy = worker.client.post("/v1/generate", json=body_of(picture))
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "engine_busy")
    wait_for(lambda: worker.host.being_read == 0)
    assert worker.generate(body_of(picture))[-1] == {"type": "done"}


def test_serves_others_while_one_does_not_read(worker: Worker, picture: Pixels) -> None:
    worker.until_idle()
    with closing(Asking(worker, long_body(picture, 100))):
        wait_for(lambda: worker.host.line.running > 0)
        assert worker.generate(body_of(picture))[-1] == {"type": "done"}


def test_gives_signs_of_life_while_it_has_nothing_to_say(worker: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.until_idle()
    monkeypatch.setattr(EventStream, "quiet_seconds", 0.02)
    with closing(Asking(worker, long_body(picture))) as first:
        first.read(2)
        with closing(Asking(worker, body_of(picture))) as second:
            assert second.read(1) == [{"type": "queued", "position": 0}]
            assert second.answer is not None
            assert [second.answer.readline() for _ in range(5)] == [b"\n"] * 5
            first.close()
            # Nothing of the answer is lost in the pauses.
            rest = [json.loads(line) for line in second.answer if line.strip()]
            assert [line["type"] for line in rest if line["type"] != "token"] == ["meta", "receipt", "receipt", "done"]
            indices = [line["i"] for line in rest if line["type"] == "token" and line["arm"] == "baseline"]
            assert indices == list(range(len(indices)))


def test_ends_what_runs_and_takes_nothing_new_when_told_to_stop(demo: TorchEngine, picture: Pixels) -> None:
    host = EngineHost(demo, Settings(taps=True, queue=2, grace_seconds=20))
    with running(host) as stopping:
        asking = Asking(stopping, long_body(picture, 60))
        asking.read(2)
        stopping.stop()
        with pytest.raises(httpx.ConnectError):
            wait_for(lambda: httpx.get(f"{stopping.url}/health").status_code == 0)
        rest = list(asking.lines())
        assert [line["type"] for line in rest[-2:]] == ["receipt", "done"]
        assert rest[-2]["receipt"]["tokens"] == 60


def test_ends_what_takes_longer_than_its_grace_with_an_error(demo: TorchEngine, picture: Pixels) -> None:
    host = EngineHost(demo, Settings(taps=True, queue=2, grace_seconds=0.2))
    with running(host) as stopping:
        asking, waiting = Asking(stopping, long_body(picture, 250)), Asking(stopping, body_of(picture))
        asking.read(2)
        assert waiting.read(1)[0]["type"] == "queued"
        stopping.stop()
        for client in (asking, waiting):
            last = list(client.lines())[-1]
            assert (last["type"], last["error"]["code"], last["error"]["retry"]) == ("error", "engine_unavailable", True)
