"""Several runs as one batch, over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
import torch

from facet_worker.engine import Pixels
from facet_worker.hooked_model import HookedModel
from facet_worker.serve.admission import Admission
from facet_worker.serve.checks import Asking, Worker, body_of, long_body, running, wait_for
from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import Settings
from facet_worker.torch_engine import TorchEngine


@pytest.fixture(scope="module")
def mixing(demo: TorchEngine) -> Iterator[Worker]:
    with running(EngineHost(demo, Settings(taps=True, queue=1, concurrency=4))) as found:
        yield found


def bodies(picture: Pixels) -> list[dict[str, Any]]:
    """Requests of unlike lengths, arms, clamps and seeds."""
    clamp = {"feature": 650, "op": "set", "value": 60, "unit": "raw"}
    plain = body_of(picture, sampling={"maxTokens": 40})
    plain["request"]["messages"][0]["content"][1]["text"] = "is there a dog in the picture ?"
    return [
        plain,
        body_of(picture, [clamp], controls=["baseline", "negated"]),
        body_of(picture, [{**clamp, "scope": {"type": "all"}}], sampling={"maxTokens": 30, "temperature": 1.5, "seed": 4}),
        body_of(picture, [clamp], sweep={"clamp": 0, "values": [5, 90]}, activeFeatures=3),
    ]


def story(events: list[dict[str, Any]]) -> dict[str, Any]:
    """By arm: what was written, and what the receipt says was changed."""
    receipts = [event["receipt"] for event in events if event["type"] == "receipt"]
    written = {
        receipt["arm"]: [event["id"] for event in events if event["type"] == "token" and event["arm"] == receipt["arm"]]
        for receipt in receipts
    }
    return {r["arm"]: [written[r["arm"]], r["text"], r["finish"], r["outcome"], r["prefill"], r["decode"]] for r in receipts}


def test_answers_several_at_once_as_each_alone(worker: Worker, mixing: Worker, picture: Pixels) -> None:
    asked = bodies(picture)
    alone = [worker.generate(body) for body in asked]
    assert mixing.client.get("/info").json()["limits"]["concurrency"] == 4
    together: list[list[dict[str, Any]]] = [[] for _ in asked]
    order: list[int] = []

    def ask(at: int) -> None:
        with closing(Asking(mixing, asked[at])) as asking:
            for event in asking.lines():
                together[at].append(event)
                order.append(at)

    threads = [threading.Thread(target=ask, args=[at]) for at in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for own, theirs in zip(alone, together, strict=True):
        assert story(theirs) == story(own)
        assert theirs[0] == own[0]
        assert theirs[-1] == {"type": "done"}
    # They took turns: one after another would change over three times.
    assert sum(one != other for one, other in pairwise(order)) > 6
    mixing.until_idle()
    assert mixing.host.mixer is not None
    assert not mixing.host.mixer.guests
    assert not mixing.host.mixer.together.jobs


def test_goes_on_with_the_others_when_one_leaves(mixing: Worker, picture: Pixels) -> None:
    mixing.until_idle()
    with closing(Asking(mixing, long_body(picture, 80))) as staying, closing(Asking(mixing, long_body(picture, 250))) as leaving:
        assert staying.read(2)[0]["type"] == leaving.read(2)[0]["type"] == "meta"
        assert mixing.host.line.running == 2
        leaving.close()
        wait_for(lambda: mixing.host.line.running == 1)
        # Features are found between the tokens of others.
        request = {"dictionary": mixing.host.infos[0]["dictionary"]["ref"], "image": {"sha256": "0" * 64}}
        image = body_of(picture)["images"][0]
        assert mixing.client.post("/v1/features", json={"protocol": 1, "request": request, "image": image}).status_code == 200
        rest = list(staying.lines())
        assert (rest[-2]["receipt"]["tokens"], rest[-1]["type"]) == (80, "done")
    mixing.until_idle()
    # Also where nobody else is there to move on without it.
    with closing(Asking(mixing, long_body(picture, 250))) as alone:
        alone.read(2)
    mixing.until_idle()
    assert mixing.host.mixer is not None
    assert not mixing.host.mixer.together.jobs
    assert not mixing.host.mixer.together.batch.members


def test_refuses_or_loses_one_without_the_others(mixing: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    mixing.until_idle()
    admission = mixing.host.admission
    assert admission is not None
    long = long_body(picture, 200)
    with closing(Asking(mixing, long)) as staying:
        staying.read(3)
        held = admission.size.bytes(152, 1, 200, 2048)
        with monkeypatch.context() as patch:
            # Room for one alone, which the first holds.
            patch.setattr(mixing.host, "admission", Admission(admission.size, held + 1, lambda: 1 << 40))
            refused = mixing.client.post("/v1/generate", json=long)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_busy")
        with monkeypatch.context() as patch:
            patch.setattr(HookedModel, "prefill", _full)
            events = mixing.generate(body_of(picture))
            assert [event["type"] for event in events] == ["meta", "error"]
            assert events[-1]["error"]["code"] == "engine_out_of_memory"
        rest = list(staying.lines())
        assert (rest[-2]["receipt"]["tokens"], rest[-1]["type"]) == (200, "done")
    mixing.until_idle()
    assert mixing.host._held == 0


def _full(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_outlives_a_batch_that_is_lost_as_a_whole(mixing: Worker, picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    mixing.until_idle()
    with closing(Asking(mixing, long_body(picture, 250))) as first, closing(Asking(mixing, long_body(picture, 250))) as second:
        first.read(2)
        second.read(2)
        with monkeypatch.context() as patch:
            patch.setattr(HookedModel, "token", _full)
            for asking in (first, second):
                assert list(asking.lines())[-1]["error"]["code"] == "engine_out_of_memory"
    mixing.until_idle()
    assert json.dumps(story(mixing.generate(body_of(picture))))
