"""What fails on the way, and what the worker does then."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from facet_worker.batch import SHARED_POSITIONS
from facet_worker.engine import AttributionSize, Pixels
from facet_worker.hooked_model import HookedModel
from facet_worker.serve import device as devices
from facet_worker.serve.admission import Admission, RunSize
from facet_worker.serve.checks import Worker, body_of, long_body, running
from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import MIB, Settings
from facet_worker.torch_engine import TorchEngine


def failing_after(passes: int, error: Callable[[], Exception], usual: Any) -> Any:
    left = passes

    def step(*args: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise error()
        return usual(*args, **more)

    return step


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        lambda: MemoryError(),
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
    ids=["gpu", "python", "processor"],
)
def test_outlives_a_run_that_is_out_of_memory(
    worker: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(HookedModel, "token", failing_after(2, error, HookedModel.token))
        events = worker.generate(long_body(picture))
        assert [event["type"] for event in events] == ["meta", "token", "token", "token", "error"]
        assert (events[-1]["error"]["code"], events[-1]["error"]["retry"]) == ("engine_out_of_memory", True)
    with monkeypatch.context() as patch:
        patch.setattr(TorchEngine, "features", failing_after(0, error, None))
        request = {"dictionary": worker.host.infos[0]["dictionary"]["ref"], "image": {"sha256": "0" * 64}}
        image = body_of(picture)["images"][0]
        answer = worker.client.post("/v1/features", json={"protocol": 1, "request": request, "image": image})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_out_of_memory")
    assert worker.generate(body_of(picture))[-1] == {"type": "done"}
    assert worker.client.get("/health").status_code == 200


def test_outlives_a_model_that_fails_and_tells_the_cause_to_the_log_alone(
    worker: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(HookedModel, "token", failing_after(1, lambda: ValueError("a secret path"), HookedModel.token))
        events = worker.generate(long_body(picture))
    assert events[-1]["error"]["code"] == "engine_failed"
    assert "secret" not in json.dumps(events)
    assert "a secret path" in caplog.text
    assert worker.generate(body_of(picture))[-1] == {"type": "done"}


def test_ends_itself_when_a_failure_shows_that_the_device_is_broken(
    demo: TorchEngine, picture: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_device: torch.device) -> None:
        raise devices.DeviceBroken("CUDA error: device-side assert triggered")

    host = EngineHost(demo, Settings(taps=True))
    with monkeypatch.context() as patch, running(host) as worker:
        assert worker.client.get("/health").status_code == 200
        patch.setattr(
            HookedModel, "token", failing_after(1, lambda: RuntimeError("CUDA error: device-side assert triggered"), HookedModel.token)
        )
        patch.setattr(devices, "check_device", broken)
        events = worker.generate(long_body(picture))
        assert (events[-1]["type"], events[-1]["error"]["code"]) == ("error", "engine_unavailable")
        assert host.broken == "CUDA error: device-side assert triggered"
        assert worker.server.should_exit


def test_checks_the_device_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = torch.device("cpu")
    devices.check_device(processor)
    usual = torch.arange

    def wrong(*args: Any, **more: Any) -> torch.Tensor:
        return usual(*args, **more) + 1

    monkeypatch.setattr(torch, "arange", wrong)
    with pytest.raises(devices.DeviceBroken, match="came out as"):
        devices.check_device(processor)
    monkeypatch.setattr(torch, "arange", failing_after(0, lambda: RuntimeError("CUDA error: an illegal memory access"), None))
    with pytest.raises(devices.DeviceBroken, match="illegal memory access"):
        devices.check_device(processor)


def test_estimates_what_a_run_takes() -> None:
    class Config:
        hidden_size, num_attention_heads, num_key_value_heads, num_hidden_layers, intermediate_size = 4096, 32, 8, 32, 14336

    size = RunSize.of(Config, torch.bfloat16)
    # Keys and values of a Llama-3-8B: 128 KiB a position, twice.
    assert size.a_position == 2 * 128 * 1024
    one = size.bytes(2880, 1, 256, 131_072)
    assert one == pytest.approx(2.7 * 1024 * MIB, rel=0.1)
    # Seven more caches, and as many prompts at once above the hook as are let through.
    more = 7 * 3136 * size.a_position + (SHARED_POSITIONS - 2880) * size.a_prompt_position
    assert size.bytes(2880, 8, 256, 131_072) - one == pytest.approx(1.2 * more, rel=1e-6)


def test_refuses_what_does_not_fit_for_good_or_for_now(worker: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    admission = worker.host.admission
    assert admission is not None
    before = worker.metric("facet_tokens_total")
    many = body_of(picture, [{"feature": 650, "unit": "raw"}], sweep={"clamp": 0, "values": list(range(16))})
    fits = admission.size.bytes(152, 2, 48, 2048)
    for capacity, free, status, code in ((fits, fits, 413, "too_large"), (1 << 40, fits, 503, "engine_busy")):
        monkeypatch.setattr(worker.host, "admission", Admission(admission.size, capacity, partial(int, free)))
        refused = worker.client.post("/v1/generate", json=many)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert "18 answers of up to 48 tokens to a prompt of 152 positions" in refused.json()["error"]["message"]
        assert ("retry-after" in refused.headers) == (status == 503)
        assert worker.metric("facet_tokens_total") == before
        assert worker.generate(body_of(picture))[-1] == {"type": "done"}
        before = worker.metric("facet_tokens_total")


def test_attributes_within_the_memory_that_there_is(
    worker: Worker, demo: TorchEngine, picture: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = worker.host.admission
    assert usual is not None
    plain = body_of(picture)
    request = {**{name: plain["request"][name] for name in ("dictionary", "messages")}, "answer": [10, 11], "position": 1, "exact": 1}
    body = {"protocol": 1, "request": request, "images": plain["images"], "units": {}}
    above = demo.hooked.model.config.text_config.num_hidden_layers - 2
    asked = AttributionSize(152, 1, False, above, 1)
    kept, again = (usual.size.attribution(asked, 2048, recompute) for recompute in (False, True))
    assert again < kept
    found = {}
    for capacity, free, status, code, recomputed in (
        (again - 1, 1 << 40, 413, "too_large", None),
        (1 << 40, again - 1, 503, "engine_busy", None),
        (kept, kept - 1, 200, None, "true"),
        (kept, kept, 200, None, "false"),
    ):
        counted = {name: worker.metric("facet_attribution_seconds_count", recomputed=name) for name in ("true", "false")}
        ablations = worker.metric("facet_ablations_total")
        monkeypatch.setattr(worker.host, "admission", Admission(usual.size, capacity, partial(int, free)))
        answer = worker.client.post("/v1/attribute", json=body)
        assert answer.status_code == status
        if recomputed is None:
            error = answer.json()["error"]
            assert (error["code"], "retry-after" in answer.headers) == (code, status == 503)
            assert "attributing an answer of up to 1 tokens to a prompt of 152 positions" in error["message"]
            assert worker.metric("facet_ablations_total") == ablations
        else:
            found[recomputed] = json.loads(answer.text.splitlines()[0])["result"]["sums"]
            counted[recomputed] += 1
            assert worker.metric("facet_ablations_total") == ablations + 1
        assert counted == {name: worker.metric("facet_attribution_seconds_count", recomputed=name) for name in ("true", "false")}
        assert worker.host._held == 0
    assert found["true"] == pytest.approx(found["false"], rel=1e-5, abs=1e-6)
