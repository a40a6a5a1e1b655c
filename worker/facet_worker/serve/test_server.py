"""Over a real socket, with the embedded model."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from facet_worker.engine import Pixels
from facet_worker.engine_checks import run
from facet_worker.serve.admission import Admission
from facet_worker.serve.checks import HOOK, Worker, body_of, running, sent
from facet_worker.serve.host import EngineHost
from facet_worker.serve.schemas import BodySchema
from facet_worker.serve.settings import Settings
from facet_worker.torch_engine import TorchEngine

CLAMP = {"feature": 650, "op": "set", "value": 40, "unit": "raw"}


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON as it is read back, apart from how long things took."""
    plain: list[dict[str, Any]] = json.loads(json.dumps(events))
    for event in plain:
        event.get("receipt", {}).pop("timingsMs", None)
    return plain


def receipt_of(events: list[dict[str, Any]], arm: str) -> Any:
    return next(event["receipt"] for event in events if event["type"] == "receipt" and event["receipt"]["arm"] == arm)


def test_streams_what_the_engine_says_with_every_default_filled_in(worker: Worker, demo: TorchEngine, picture: Pixels) -> None:
    body = body_of(picture, [CLAMP])
    events = worker.generate(body)
    request = BodySchema("generate").parse(body)["request"]
    assert without_times(events) == without_times(list(demo.generate(request, [picture], {}, lambda: False)))
    assert [event["type"] for event in events if event["type"] != "token"] == ["meta", "receipt", "receipt", "done"]
    steered, baseline = (receipt_of(events, arm) for arm in ("steered", "baseline"))
    assert (steered["outcome"], baseline["outcome"]) == ("steered", "baseline")
    assert steered["sampling"] == {"maxTokens": 48, "temperature": 0, "topP": 1, "seed": 0}
    assert steered["clamps"][0]["image"] == {"planned": 144, "changed": 144}
    assert steered["prompt"]["images"] == [body["images"][0]["sha256"]]
    assert all(len(event["alternatives"]) == 5 for event in events if event["type"] == "token")
    assert 0 <= steered["timingsMs"]["queued"] < 2_000


def test_takes_strengths_in_units_that_the_app_sends(worker: Worker, picture: Pixels) -> None:
    clamp = {"feature": 650, "value": 2}
    refused = worker.client.post("/v1/generate", json=body_of(picture, [clamp]))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    events = worker.generate({**body_of(picture, [clamp]), "units": {"650": 20.0}})
    done = receipt_of(events, "steered")["clamps"][0]
    assert (done["unitActivation"], done["meanAfter"]) == (20.0, pytest.approx(40.0))


def test_tells_which_features_fire_on_a_picture(worker: Worker, demo: TorchEngine, picture: Pixels) -> None:
    request = {"dictionary": f"facet-emoji/{HOOK}", "image": {"sha256": "0" * 64}, "limit": 3}
    answer = worker.client.post("/v1/features", json={"protocol": 1, "request": request, "image": sent(picture)})
    assert answer.json() == json.loads(json.dumps(demo.features(request, [picture], lambda: False)))
    assert len(answer.json()["features"]) == 3
    damaged = {**sent(picture), "data": sent(picture)["data"][:400]}
    refused = worker.client.post("/v1/features", json={"protocol": 1, "request": request, "image": damaged})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unreadable_image")


def test_tells_what_fires_on_an_input(worker: Worker, demo: TorchEngine, picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = body_of(picture)
    request = {name: plain["request"][name] for name in ("dictionary", "messages")}
    body = {"protocol": 1, "request": {**request, "perToken": 2, "limit": 5}, "images": plain["images"]}
    answer = worker.client.post("/v1/activations", json=body)
    own = demo.activations(BodySchema("activations").parse(body)["request"], [picture], lambda: False)
    assert answer.json() == json.loads(json.dumps(own))
    assert (len(own["images"]), len(own["images"][0]["features"]), len(own["tokens"])) == (1, 5, 152)
    assert own["text"]["tokens"] == ["what", "do", "you", "see", "?"]
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"request": {**request, "perToken": 0}}, 400, "invalid_request"),
        ({"request": {**request, "version": "0" * 12}}, 409, "version_mismatch"),
        ({"images": []}, 400, "invalid_request"),
        ({"images": [sent(np.zeros((250, 200, 3), np.uint8))]}, 400, "invalid_request"),
    ]
    for more, status, code in cases:
        assert refusal(worker.client.post("/v1/activations", json={**body, **more})) == (status, code)
    usual = worker.host.admission
    assert usual is not None
    for capacity, status, code in ((1, 413, "too_large"), (1 << 40, 503, "engine_busy")):
        monkeypatch.setattr(worker.host, "admission", Admission(usual.size, capacity, lambda: 1))
        refused = worker.client.post("/v1/activations", json=body)
        assert refusal(refused) == (status, code)
        assert ("retry-after" in refused.headers) == (status == 503)
    assert worker.host._held == 0


def test_attributes_an_answer(worker: Worker, demo: TorchEngine, picture: Pixels) -> None:
    plain = body_of(picture)
    request = {name: plain["request"][name] for name in ("dictionary", "messages")}
    body = {"protocol": 1, "request": {**request, "answer": [10, 11], "position": 1, "exact": 2}, "images": plain["images"], "units": {}}
    answer = worker.client.post("/v1/attribute", json=body)
    events = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
    own = list(demo.attribute(BodySchema("attribute").parse(body)["request"], [picture], {}, lambda: False))
    for told in (events[0]["result"], own[0]["result"]):
        assert 0 <= told.pop("timingsMs")["queued"] < 2_000
    assert events == json.loads(json.dumps(own))
    assert [event["type"] for event in events] == ["result", "measured", "agreement", "done"]
    refused = worker.client.post("/v1/attribute", json={**body, "request": {**body["request"], "position": 2}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "place_unknown")
    refused = worker.client.post("/v1/attribute", json={**body, "request": {**body["request"], "limit": 0}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")


def test_shows_hidden_states_and_logits_to_tests(worker: Worker, demo: TorchEngine, picture: Pixels) -> None:
    words = {"steered": [10, 11], "baseline": [10, 11]}
    body = body_of(picture, [CLAMP], tap={"hidden": True, "logits": True, "force": words})
    events = worker.generate(body)
    own = run(demo, BodySchema("generate").parse(body)["request"], [picture], force=words)

    def array(text: str) -> Any:
        return np.frombuffer(base64.b64decode(text), "<f4")

    for arm in words:
        passes = [event for event in events if event["type"] == "tap_hidden" and event["arm"] == arm]
        assert [event["first"] for event in passes] == [0, passes[0]["rows"], passes[0]["rows"] + 1]
        for side, theirs in (("hidden", own.hidden[arm]), ("output", own.given[arm])):
            found = np.concatenate([array(event[side]).reshape(event["rows"], event["width"]) for event in passes])
            np.testing.assert_array_equal(found, theirs.astype(np.float32))
        logits = [array(event["logits"]) for event in events if event["type"] == "tap_logits" and event["arm"] == arm]
        np.testing.assert_array_equal(logits, own.logits[arm])
        assert [event["id"] for event in events if event["type"] == "token" and event["arm"] == arm] == words[arm]


def test_says_what_it_is_and_that_it_works(worker: Worker, demo: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    info = worker.client.get("/info").json()
    assert info["protocol"] == 1
    assert info["limits"] == {"requestBytes": 1 << 20, "imagePixels": 40_000, "maxPositions": 512, "concurrency": 1, "queue": 2}
    assert (info["device"], info["dtype"], info["taps"]) == ("cpu", "float32", True)
    assert info["dictionaries"] == [demo.info()]
    health = worker.client.get("/health").json()
    assert (health["status"], health["device"], health["waiting"]) == ("ok", "cpu", 0)
    # It is the device that is asked: one that hangs is not well.
    with monkeypatch.context() as patch:
        patch.setattr(torch, "arange", lambda *_args, **_more: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
        assert worker.client.get("/health").status_code == 200


def test_counts_for_prometheus(worker: Worker, picture: Pixels) -> None:
    before = worker.metric("facet_requests_total", endpoint="generate", outcome="ok")
    tokens = worker.metric("facet_tokens_total")
    events = worker.generate(body_of(picture))
    assert worker.client.post("/v1/generate", json=[]).status_code == 400
    assert worker.metric("facet_requests_total", endpoint="generate", outcome="ok") == before + 1
    assert worker.metric("facet_tokens_total") == tokens + sum(event["type"] == "token" for event in events)
    text = worker.client.get("/metrics").text
    for line in (
        'facet_requests_total{endpoint="generate",outcome="invalid_request"} ',
        "facet_queue_length 0.0",
        "facet_running 0.0",
        'facet_memory_bytes{kind="resident"} ',
        'facet_first_token_seconds_bucket{le="+Inf"} ',
        "facet_tokens_per_second_count ",
    ):
        assert line in text


def refusal(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "fix", "retry"}
    return answer.status_code, error["code"]


def test_refuses_with_the_status_of_the_code_before_anything_runs(worker: Worker, picture: Pixels) -> None:
    tokens = worker.metric("facet_tokens_total")
    small = body_of(picture)
    large = body_of(np.zeros((250, 200, 3), np.uint8))
    wordy = body_of(picture)
    wordy["request"]["messages"][0]["content"][1]["text"] = "dog " * 1_900
    two = {**small, "images": small["images"] * 2}
    # Pictures of which there is no more than a header: whoever decoded them would say `unreadable_image`.
    header = {"sha256": "1" * 64, "data": base64.b64encode(base64.b64decode(small["images"][0]["data"])[:60]).decode()}
    parts = [{"type": "image", "image": {"sha256": header["sha256"]}}]
    unseen = {**wordy, "images": [header]}
    unseen["request"] = copy.deepcopy(wordy["request"])
    unseen["request"]["messages"][0]["content"][0] = parts[0]
    many = {**small, "images": [header] * 4, "request": {**small["request"], "messages": [{"role": "user", "content": parts * 4}]}}
    cases: list[tuple[Any, int, str]] = [
        (b"{", 400, "invalid_request"),
        (b'{"protocol": NaN}', 400, "invalid_request"),
        (b"[" * 100_000, 400, "invalid_request"),
        (b"\xff\xfe", 400, "invalid_request"),
        ({**small, "protocol": 2}, 409, "protocol_mismatch"),
        ({**small, "request": {**small["request"], "controls": ["other"]}}, 400, "invalid_request"),
        ({**small, "request": {**small["request"], "dictionary": "facet-emoji/other"}}, 404, "dictionary_not_found"),
        ({**small, "request": {**small["request"], "version": "0" * 12}}, 409, "version_mismatch"),
        (two, 400, "invalid_request"),
        (large, 413, "too_large"),
        (wordy, 422, "prompt_too_long"),
        (unseen, 422, "prompt_too_long"),
        (many, 422, "prompt_too_long"),
        (body_of(picture, [{"feature": 99_999}]), 422, "clamp_nowhere"),
        (b" " * ((1 << 20) + 1), 413, "too_large"),
    ]
    for body, status, code in cases:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert refusal(worker.client.post("/v1/generate", content=content)) == (status, code)
    # Of unknown length: counted while it comes.
    assert refusal(worker.client.post("/v1/generate", content=(b" " * 65_536 for _ in range(40)))) == (413, "too_large")
    assert refusal(worker.client.get("/v1/generate")) == (405, "method_not_allowed")
    assert refusal(worker.client.get("/elsewhere")) == (404, "not_found")
    assert worker.metric("facet_tokens_total") == tokens


def test_asks_for_its_token_and_keeps_its_taps_shut(demo: TorchEngine, picture: Pixels) -> None:
    with running(EngineHost(demo, Settings(token="a secret"))) as locked:
        assert httpx.get(f"{locked.url}/health").status_code == 200
        for headers in ({}, {"Authorization": "Bearer another"}):
            for answer in (
                httpx.get(f"{locked.url}/info", headers=headers),
                httpx.post(f"{locked.url}/v1/generate", headers=headers, json={}),
            ):
                assert refusal(answer) == (401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
        # A large body of somebody who may not send it still gets its answer.
        assert httpx.post(f"{locked.url}/v1/generate", content=b" " * (8 << 20)).status_code == 401
        assert locked.generate(body_of(picture))[-1] == {"type": "done"}
        tapped = locked.client.post("/v1/generate", json=body_of(picture, tap={"logits": True}))
        assert refusal(tapped) == (403, "forbidden")
        assert "--taps" in tapped.json()["error"]["fix"]
